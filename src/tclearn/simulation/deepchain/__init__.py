"""DeepChain coalitions in one process: the agents, contract and cryptography of a deployment, on a virtual clock.

==============  ======================================================================================
``setting``     who takes part with what; the charter that follows from it
``key``         the threshold key: dealt, kept, and read again
``simulation``  ``simulate``, and a coalition that is ready to run
``averaging``   the same training in the clear: federated averaging, quantised and not
``clipping``    how much of what was trained was cut
``result``      what comes out
``rows``        iterations and coins as lines of text
``progress``    where an iteration is, in one line
``as_json``     the same for programs
``attacks``     who misbehaves how: ``KIND@MEMBER``
``options``     what a demonstration shows
``demo``        ``tclearn demo --protocol deepchain``
==============  ======================================================================================

All but ``attacks`` and ``options`` need the extra ``deepchain``.
"""
