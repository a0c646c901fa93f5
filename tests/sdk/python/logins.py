"""What vendors' own SDKs show a log-in service, and what the gateway shows it, are taken alike by the strict fake one; and
what the gateway signs, Google's SDK verifies."""

import base64
import datetime
import json
import os
import subprocess
import tempfile
import time
import unittest
import unittest.mock
import urllib.parse
import urllib.request

import botocore.session
import google.auth.identity_pool
import google.auth.jwt
import google.auth.transport.requests
import google.oauth2.service_account
from botocore.credentials import InstanceMetadataProvider
from botocore.utils import ContainerMetadataFetcher, InstanceMetadataFetcher
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
EMAIL = "svc@ada.iam.gserviceaccount.com"
AUDIENCE = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q"
JWT = "urn:ietf:params:oauth:token-type:jwt"
ROLE = "arn:aws:iam::123456789012:role/models"


def call(method, url, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method, headers={"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def certificate(key):
    """Google's SDK takes public keys in certificates."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "svc")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


class Logins(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # A partner of its own: an armed one takes no other tokens than its own.
        cls.fake = subprocess.Popen([os.environ["FAKE_PROVIDER_BIN"]], stdout=subprocess.PIPE, text=True)
        cls.addClassCleanup(cls.stop, cls.fake)
        ready = json.loads(cls.fake.stdout.readline())
        cls.root, cls.control = ready["base_url"].removesuffix("/v1"), ready["control_url"]
        cls.uri = cls.root + "/google/token"
        cls.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        private = cls.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        public = cls.key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
        cls.file = {
            "type": "service_account", "client_email": EMAIL, "private_key_id": "k1",
            "private_key": private.decode(), "token_uri": cls.uri, "project_id": "ada",
        }
        account = {
            "email": EMAIL, "audience": [cls.uri, "https://oauth2.googleapis.com/token"], "scope": SCOPE, "public_key": base64.b64encode(public).decode(),
        }
        account["external"] = {"audience": AUDIENCE, "type": JWT, "token": "a.b.c"}
        aws = {"role": "gateway", "token": "shown", "pair": "AKIA1:s/e+c", "arn": ROLE, "external_id": "ext"}
        call("POST", cls.control + "/issuer", {"google": account, "aws": aws})

    @staticmethod
    def stop(process):
        process.kill()
        process.wait()
        process.stdout.close()

    def test_googles_sdk_gets_a_token(self):
        made = google.oauth2.service_account.Credentials.from_service_account_info(self.file, scopes=[SCOPE])
        made.refresh(google.auth.transport.requests.Request())
        self.assertTrue(made.token.startswith("token-"))

    def test_awss_sdk_gets_a_pair_of_the_instance(self):
        fetcher = InstanceMetadataFetcher(base_url=self.root, num_attempts=1)
        made = InstanceMetadataProvider(iam_role_fetcher=fetcher).load().get_frozen_credentials()
        self.assertTrue(made.access_key.startswith("ASIA") and made.token.startswith("session-token-"))

    def test_awss_sdk_gets_a_pair_of_the_container(self):
        made = ContainerMetadataFetcher().retrieve_full_uri(
            self.root + "/v2/credentials", headers={"Authorization": "shown"}
        )
        self.assertTrue(made["AccessKeyId"].startswith("ASIA"))

    def test_googles_sdk_exchanges_a_foreign_token(self):
        with tempfile.NamedTemporaryFile("w") as file:
            file.write("a.b.c")
            file.flush()
            account = f"{self.root}/v1/projects/-/serviceAccounts/{EMAIL}:generateAccessToken"
            made = google.auth.identity_pool.Credentials.from_info({
                "type": "external_account", "audience": AUDIENCE, "subject_token_type": JWT,
                "token_url": self.root + "/google/sts", "credential_source": {"file": file.name},
                "service_account_impersonation_url": account,
            }, scopes=[SCOPE])
            made.refresh(google.auth.transport.requests.Request())
        self.assertTrue(made.token.startswith("account-token-"))

    def test_awss_sdk_takes_on_a_role(self):
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(
                f"[profile models]\nrole_arn = {ROLE}\nsource_profile = base\nexternal_id = ext\nregion = eu-west-1\n"
                "[profile base]\naws_access_key_id = AKIA1\naws_secret_access_key = s/e+c\n"
            )
            file.flush()
            more = {"AWS_CONFIG_FILE": file.name, "AWS_ENDPOINT_URL_STS": self.root, "AWS_PROFILE": "models"}
            with unittest.mock.patch.dict(os.environ, more):
                made = botocore.session.Session().get_credentials().get_frozen_credentials()
        self.assertTrue(made.access_key.startswith("ASIA") and made.token.startswith("session-token-"))

    def test_googles_sdk_verifies_what_the_gateway_signs(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "account.json")
            with open(path, "w") as file:
                json.dump(self.file, file)
            config = (
                'server: {api: "127.0.0.1:0", admin: "127.0.0.1:0"}\n'
                "prices: {unpriced: allow}\n"
                f"providers: {{vertex: {{base_url: '{self.root}/v1/projects/ada/locations/eu', models: [echo],"
                f" google: {{credentials: 'file:{path}'}}}}}}\n"
            )
            with open(os.path.join(folder, "outrigger.yaml"), "w") as file:
                file.write(config)
            environment = os.environ | {"OUTRIGGER_DATA_DIR": os.path.join(folder, "data")}
            tested = subprocess.run(
                [os.environ["OUTRIGGER_BIN"], "provider", "test", "vertex"],
                cwd=folder, env=environment, capture_output=True, text=True, timeout=60,
            )
            self.assertEqual(tested.returncode, 0, tested.stdout + tested.stderr)
        asked = [it for it in call("GET", self.control + "/requests") if it["path"] == "/google/token"]
        fields = urllib.parse.parse_qs(asked[-1]["body"])
        (assertion,) = fields["assertion"]
        claims = google.auth.jwt.decode(assertion, certs=certificate(self.key), audience=self.uri)
        self.assertEqual(claims["iss"], EMAIL)
        self.assertEqual(claims["scope"], SCOPE)
        self.assertAlmostEqual(claims["exp"], time.time() + 3600, delta=60)
        self.assertEqual(google.auth.jwt.decode_header(assertion)["kid"], "k1")


if __name__ == "__main__":
    unittest.main()
