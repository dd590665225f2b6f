"""Signatures, as Standard Webhooks 1.0 and its own library have them."""

import base64
import json
import shutil
import subprocess
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from keva.webhooks import signing
from keva.webhooks.client import signed

# Computed from the standard's own example of a secret, an id and a payload.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID, TIMESTAMP, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
BODY_WITH_ALL = '{"text":"é🎉\\u0007\\n\\"/","null":null}'.encode()


def test_the_standards_own_example_has_its_signature():
    secret = base64.b64decode(SECRET.removeprefix("whsec_"))
    assert signing.headers(ID, TIMESTAMP, BODY, [secret]) == {
        "webhook-id": ID,
        "webhook-timestamp": str(TIMESTAMP),
        "webhook-signature": SIGNATURE,
    }


def test_the_standards_own_library_signs_the_same():
    assert Webhook(SECRET).sign(ID, datetime.fromtimestamp(TIMESTAMP, UTC), BODY.decode()) == SIGNATURE


def test_the_standards_own_library_takes_what_we_sign():
    secret = signing.new_secret()
    headers = signed("evt_1", BODY_WITH_ALL, (secret,))
    assert Webhook(signing.secret_text(secret)).verify(BODY_WITH_ALL, headers) == json.loads(BODY_WITH_ALL)


@pytest.mark.parametrize("which", [0, 1])
def test_while_a_secret_is_rotated_either_of_the_two_verifies(which):
    secrets = (signing.new_secret(), signing.new_secret())
    headers = signed("evt_1", BODY_WITH_ALL, secrets)
    assert headers["webhook-signature"].count(" ") == 1
    Webhook(signing.secret_text(secrets[which])).verify(BODY_WITH_ALL, headers)


@pytest.mark.parametrize("change", ["body", "id", "timestamp", "secret"])
def test_whatever_is_changed_does_not_verify(change):
    secret = signing.new_secret()
    headers = signed("evt_1", BODY_WITH_ALL, (secret,))
    body = BODY_WITH_ALL + b" " if change == "body" else BODY_WITH_ALL
    if change == "id":
        headers["webhook-id"] = "evt_2"
    if change == "timestamp":
        headers["webhook-timestamp"] = str(int(headers["webhook-timestamp"]) + 1)
    verifier = Webhook(signing.secret_text(signing.new_secret() if change == "secret" else secret))
    with pytest.raises(WebhookVerificationError):
        verifier.verify(body, headers)


def test_a_secret_is_whsec_and_32_random_bytes():
    secrets = {signing.secret_text(signing.new_secret()) for _ in range(10)}
    assert len(secrets) == 10
    for secret in secrets:
        assert secret.startswith("whsec_")
        assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32


# As the standard's JavaScript library verifies it: that library would have to be fetched for each run.
VERIFY_IN_JAVASCRIPT = """
const { createHmac, timingSafeEqual } = require("node:crypto");
const { secret, headers, body } = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
const key = Buffer.from(secret.slice("whsec_".length), "base64");
const content = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
const expected = createHmac("sha256", key).update(content, "utf8").digest();
const found = headers["webhook-signature"].split(" ").some((signature) => {
  const [version, text] = signature.split(",");
  const given = Buffer.from(text, "base64");
  return version === "v1" && given.length === expected.length && timingSafeEqual(given, expected);
});
process.stdout.write(found && JSON.parse(body).text ? "verified" : "refused");
"""


@pytest.mark.skipif(not shutil.which("node"), reason="node is not on this machine")
def test_it_verifies_in_javascript():
    secret = signing.new_secret()
    headers = signed("evt_1", BODY_WITH_ALL, (signing.new_secret(), secret))
    for given, verdict in ((secret, "verified"), (signing.new_secret(), "refused")):
        sent = {"secret": signing.secret_text(given), "headers": headers, "body": BODY_WITH_ALL.decode()}
        done = subprocess.run(
            ["node", "-e", VERIFY_IN_JAVASCRIPT], input=json.dumps(sent), capture_output=True, text=True, check=True
        )
        assert done.stdout == verdict


VERIFY_BY_THE_LIBRARY = """
const { Webhook } = require("standardwebhooks");
const { secret, headers, body } = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
process.stdout.write(new Webhook(secret).verify(body, headers).text);
"""


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("npm"), reason="npm is not on this machine")
def test_it_verifies_by_the_standards_own_library_in_javascript(tmp_path):
    command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", tmp_path, "standardwebhooks"]
    if subprocess.run(command, capture_output=True, timeout=120, check=False).returncode:
        pytest.skip("the library cannot be fetched here")
    secret = signing.new_secret()
    sent = {
        "secret": signing.secret_text(secret),
        "headers": signed("evt_1", BODY_WITH_ALL, (signing.new_secret(), secret)),
        "body": BODY_WITH_ALL.decode(),
    }
    command = ["node", "-e", VERIFY_BY_THE_LIBRARY]
    done = subprocess.run(command, cwd=tmp_path, input=json.dumps(sent), capture_output=True, text=True, check=False)
    assert done.stdout == json.loads(BODY_WITH_ALL)["text"], done.stderr
