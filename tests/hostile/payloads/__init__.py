"""Hostile submissions by family."""

from hostile.payloads import archives, exhaust, host, lies, secrets, sibling, verdict, wire

FAMILIES = {
    "forge the verdict": verdict.PAYLOADS,
    "read what is hidden": secrets.PAYLOADS,
    "harm the host": host.PAYLOADS,
    "harm a sibling": sibling.PAYLOADS,
    "exhaust a resource": exhaust.PAYLOADS,
    "attack the protocol": wire.PAYLOADS,
    "lie through Python objects": lies.PAYLOADS,
    "hostile archives and notebooks": archives.PAYLOADS,
}
ALL = [payload for family in FAMILIES.values() for payload in family]
