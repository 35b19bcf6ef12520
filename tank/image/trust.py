"""Whether an image may be used here: the rules of `[[trust]]`, put to what is known of it. Pure.

What is known is a `Receipt`: the digests that led to the platform's manifest (an index that was signed vouches for
what it names), and the keys that were found to have signed one of them. It is kept beside the image, so that a
restart, a reboot and a rollback need no registry; a rule that came later finds it, or finds none and asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tank.image.refusal import FAILED, UNSIGNED
from tank.model.image import Verdict
from tank.model.reference import Reference
from tank.model.trust import Trust, rule_for


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What is on record of one image of one repository. `chain`: top first, its own digest last."""

    chain: tuple[str, ...]
    keys: tuple[str, ...] = ()  # marks of the keys whose signature was verified

    def reached(self, chain: Sequence[str]) -> Receipt:
        """With the indexes that led to the image this time; a signature of any of them is one of the image."""
        return Receipt(chain=tuple(dict.fromkeys((*chain[:-1], *self.chain))), keys=self.keys)

    def signed(self, mark: str) -> Receipt:
        """With one key more."""
        return Receipt(chain=self.chain, keys=tuple(sorted({*self.keys, mark})))


ACCEPTED = Verdict(admitted=True, text="accepted")


def rejected(rules: Sequence[Trust], reference: Reference) -> str:
    """Why an image is not to be had at all, whatever it holds; empty when nothing says so."""
    rule = rule_for(rules, reference)
    if rule is None or rule.policy != "reject":
        return ""
    return f"the trust rule {rule.match!r} rejects {reference.name}"


def key_for(rules: Sequence[Trust], reference: Reference) -> Path | None:
    """The key with which the image must be signed; None when it need not be."""
    rule = rule_for(rules, reference)
    return rule.key if rule is not None and rule.policy == "signed" else None


def verdict(rules: Sequence[Trust], reference: Reference, receipt: Receipt | None, mark: str) -> Verdict:
    """What the rules say of an image that is here. `mark`: of the key that they ask for, as it is now."""
    if why := rejected(rules, reference):
        return Verdict(admitted=False, text=why, reason=FAILED)
    key = key_for(rules, reference)
    if key is None:
        return ACCEPTED
    if receipt is not None and mark and mark in receipt.keys:
        return Verdict(admitted=True, text=f"signed with {key}")
    return Verdict(admitted=False, text=f"no signature with {key} is on record", reason=UNSIGNED)
