"""How large a fine must be that honesty pays: theorems 1 and 2, in whole numbers.

Write π for the reward and f for the fine of a member, p for the chance that it is honest, v for the chance that a
deviation is noticed. It is caught with the chance c(p) = v(1 − p), and without the cost of its work it can expect
π(1 − c) − f·c. Theorem 1: with f/π > (1 − c(θ))/c(θ) that is negative for every p up to θ, so that whoever wants to
gain is honest with a chance above θ. (The bound falls as c grows, and c falls with p.) The theorem says nothing of
whether honest members gain, which needs a π above the cost of the work.

Theorem 2 is the same of workers, who by the paper are only fined when they lead: f·l/π takes the place of f/π, where l
is the chance to lead.

Source: Weng et al., "DeepChain", §4.2.1, theorems 1 and 2.
"""

from __future__ import annotations

from fractions import Fraction

from tclearn.coalition.evidence import MILLION


def ratio(noticed_ppm: int, honest_ppm: int, lead: Fraction | int = 1) -> Fraction:
    """What f/π must be **above**: (1 − c)/(c·l) with c = v(1 − θ).

    Args:
        noticed_ppm: v, the chance that a deviation is noticed, 1 to 1,000,000 millionths.
        honest_ppm: θ, 0 to 999,999 millionths.
        lead: l, the chance to be fined for it at all, above 0: 1 for parties (theorem 1), for workers the chance to
            lead (theorem 2).

    Raises:
        ValueError: an argument out of its range.
    """
    if not (1 <= noticed_ppm <= MILLION and 0 <= honest_ppm < MILLION and 0 < lead <= 1):
        raise ValueError("chances that give no bound")
    caught = Fraction(noticed_ppm * (MILLION - honest_ppm), MILLION**2)
    return (1 - caught) / (caught * lead)


def smallest_fine(reward: int, noticed_ppm: int, honest_ppm: int, lead: Fraction | int = 1) -> int:
    """The smallest whole fine above the bound; see ``ratio``.

    Args:
        reward: π, coins.
        noticed_ppm: v.
        honest_ppm: θ.
        lead: l.
    """
    bound = reward * ratio(noticed_ppm, honest_ppm, lead)
    return bound.numerator // bound.denominator + 1
