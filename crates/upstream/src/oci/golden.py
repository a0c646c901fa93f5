"""Makes golden.txt with Oracle's own signer: `pip install oci==2.189.0`, then `python golden.py > golden.txt`."""

import os

from oci._vendor import requests as vendored
from oci.signer import Signer

HERE = os.path.dirname(os.path.abspath(__file__))
URL = "https://inference.generativeai.us-chicago-1.oci.oraclecloud.com/20231130/actions/chat?x=1"
DATE = "Wed, 25 Nov 2026 10:00:00 GMT"

signer = Signer(
    tenancy="ocid1.tenancy.oc1..t",
    user="ocid1.user.oc1..u",
    fingerprint="20:3b:97",
    private_key_file_location=os.path.join(HERE, "test_key.pem"),
)


def signed(method, body):
    headers = {"date": DATE}
    if body:
        headers["content-type"] = "application/json"
    request = vendored.Request(method, URL, headers=headers, data=body, auth=signer).prepare()
    return request.headers


post = signed("POST", '{"compartmentId":"ocid1.compartment.oc1..a"}')
print(post["date"])
print(post["x-content-sha256"])
print(post["authorization"])
print(signed("GET", None)["authorization"])
