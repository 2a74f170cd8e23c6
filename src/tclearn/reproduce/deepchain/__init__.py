"""The experiments of DeepChain (Weng et al. 2019, §6), with the product's own quantisation and threshold encryption.

=============  ========================================================================================
``training``   figures 6 and 7: the plan, the records of each party, what is found
``sharing``    the runs: parties that share what they have trained; one alone; all records in one place
``circle``     parties with a threshold key: a sum of what they encrypt, stage by stage on the clock
``ciphers``    figures 4 and 5: how large and how fast ciphertexts of many gradients are
``times``      figure 9: what each stage takes, times how often it is done
``published``  what the paper says, in numbers
``plots``      the figures
=============  ========================================================================================

No ledger here: what is measured is learning and cryptography. The agents, which do the same behind deadlines and
deposits, are in ``protocols/deepchain/agent``.
"""
