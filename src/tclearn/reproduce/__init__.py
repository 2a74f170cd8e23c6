"""The papers' experiments, run again: ``tclearn reproduce``.

An experiment is a plan: runs that are carried out one after the other, each kept as soon as it is done, and what is
read from them. What trains for TCLearn is a coalition of ``simulation``; nothing here is a substitute for it. For
DeepChain (``deepchain``) it is the learning and the cryptography of the product's members, without a ledger.
"""
