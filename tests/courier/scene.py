# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the courier share: two CAs, a good answer, and a courier that has enrolled."""
import base64

from keeper import BATCH_WANTED, DEVICE, DONE, IDLE
from server import Authority, Server, packed

OURS, FOREIGN = Authority("Example organisation"), Authority("Somebody else")
DEAD = "https://127.0.0.1:1"
ANSWER = {"receipts": [base64.b64encode(b"receipt").decode()], "commands": [base64.b64encode(b"command").decode()],
          "known": {"incarnation": "11" * 8, "sequence": 7, "name": "22" * 8},
          "audit_head": {"length": 3, "hash": "33" * 32}, "envelopes_match": True, "retry_after": 5400}


def good(_path, _request):
    return packed(ANSWER)


def enroller(path, request):
    if path != "/v1/enroll":
        return packed(ANSWER)
    certificate = OURS.sign(request["courier_csr"].encode(), "extendedKeyUsage=clientAuth")
    return packed({"device": DEVICE.hex(), "certificate": certificate.decode()})


def enrolled(keeper):
    """Bring a courier as far as a sync: with key and certificate."""
    keeper.expect(BATCH_WANTED)
    with Server(OURS, enroller) as s:
        answer = keeper.enroll([s.url], OURS.pem, keeper.csr())
    if answer["status"] != DONE:
        raise RuntimeError(answer)
    keeper.expect(BATCH_WANTED)  # at once, for what waited for the enrolment
    keeper.send(IDLE)
    return keeper
