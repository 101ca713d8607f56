"""The receiver behind a webhook, and an S3-compatible store that really checks AWS Signature V4."""

import hashlib
import hmac
import re
import threading
import time
from calendar import timegm
from email.utils import formatdate
from urllib.parse import quote, unquote
from xml.sax.saxutils import escape

HOOK_LIMIT = 10 * 1024 * 1024
ALLOWED_SKEW = 300
AWS_SKEW = 900


class Hooks:
    """POST /hook/NAME"""

    def __init__(self, secret):
        self.secret = secret
        self.lock = threading.Lock()
        self.reset()

    def reset(self):
        with self.lock:
            self.hooks = {}

    def describe(self, name):
        with self.lock:
            hook = self._hook(name)
            return {key: value for key, value in hook.items() if key != "keys"} | {"members": dict(hook["members"])}

    def _hook(self, name):
        empty = {"members": {}, "deliveries": 0, "repeats": 0, "bad_signatures": 0, "keys": {}}
        return self.hooks.setdefault(name, empty)

    def handle(self, request):
        name = request.path.removeprefix("/hook/")
        if request.method != "POST":
            return 405, {"error": "POST only"}
        if len(request.body) > HOOK_LIMIT:
            return 413, {"error": "more than 10 MB"}
        if not self._signed(request):
            with self.lock:
                self._hook(name)["bad_signatures"] += 1
            return 401, {"error": "bad signature"}
        key, digest = request.headers.get("Idempotency-Key"), hashlib.sha256(request.body).digest()
        members = self._members(request)
        if not key or members is None:
            return 400, {"error": "no Idempotency-Key, or the body is not {action, members}"}
        with self.lock:
            hook = self._hook(name)
            if key in hook["keys"]:
                hook["repeats"] += 1
                return (200, {}) if hook["keys"][key] == digest else (409, {"error": "key used for another body"})
            hook["keys"][key] = digest
            hook["deliveries"] += 1
            for member in members:
                if request.json()["action"] == "add":
                    hook["members"][str(member["customer_id"])] = member.get("properties")
                else:
                    hook["members"].pop(str(member["customer_id"]), None)
        return 200, {}

    def _signed(self, request):
        found = re.fullmatch(r"t=(\d{1,15}),v1=([0-9a-f]{64})", request.headers.get("X-Cohort-Signature", ""))
        if not found or abs(time.time() - int(found[1])) > ALLOWED_SKEW:
            return False
        good = hmac.new(self.secret().encode(), found[1].encode() + b"." + request.body, "sha256").hexdigest()
        return hmac.compare_digest(good, found[2])

    @staticmethod
    def _members(request):
        try:
            body = request.json()
        except ValueError:
            return None
        if not isinstance(body, dict) or body.get("action") not in ("add", "remove"):
            return None
        members = body.get("members")
        if not isinstance(members, list) or not all(isinstance(m, dict) and "customer_id" in m for m in members):
            return None
        return members


class S3Error(Exception):
    def __init__(self, status, code, message=""):
        super().__init__(code)
        self.status = status
        self.body = xml(f"<Error><Code>{code}</Code><Message>{escape(message or code)}</Message></Error>")


def xml(text):
    return ('<?xml version="1.0" encoding="UTF-8"?>\n' + text).encode()


def aws_quote(text, safe="-_.~"):
    return quote(text, safe=safe)


class S3:
    """/s3/BUCKET/KEY"""

    def __init__(self, secret):
        self.secret = secret
        self.lock = threading.Lock()
        self.reset()

    def reset(self):
        with self.lock:
            self.buckets = {}

    def describe(self, bucket, with_body):
        with self.lock:
            objects = dict(self.buckets.get(bucket, {}))
        found = {}
        for key, (body, *_) in sorted(objects.items()):
            found[key] = {"size": len(body), "sha256": hashlib.sha256(body).hexdigest()}
            if with_body:
                found[key]["body"] = body.decode(errors="replace")
        return found

    def handle(self, request):
        """(status, body bytes, headers)"""
        try:
            query = []
            for part in filter(None, request.query.split("&")):
                name, _, value = part.partition("=")
                query.append((unquote(name), unquote(value)))
            self._verify(request, query)
            return self._answer(request, dict(query))
        except S3Error as error:
            return error.status, error.body, {"Content-Type": "application/xml"}

    def _answer(self, request, query):
        bucket, _, key = unquote(request.path).removeprefix("/s3/").partition("/")
        if not bucket.startswith("good"):
            raise S3Error(404, "NoSuchBucket", "The specified bucket does not exist")
        with self.lock:
            objects = self.buckets.setdefault(bucket, {})
            match request.method, bool(key):
                case "HEAD", False:
                    return 200, b"", {}
                case "GET", False if query.get("list-type") == "2":
                    return 200, self._list(bucket, objects, query), {"Content-Type": "application/xml"}
                case "PUT", True if not query.keys() & {"uploadId", "partNumber"}:
                    etag = '"%s"' % hashlib.md5(request.body).hexdigest()
                    kind = request.headers.get("Content-Type", "binary/octet-stream")
                    objects[key] = (request.body, etag, kind, time.time())
                    return 200, b"", {"ETag": etag}
                case "GET" | "HEAD", True:
                    if key not in objects:
                        raise S3Error(404, "NoSuchKey", "The specified key does not exist.")
                    body, etag, kind, at = objects[key]
                    changed = formatdate(at, usegmt=True)
                    return 200, body, {"ETag": etag, "Content-Type": kind, "Last-Modified": changed}
                case "DELETE", True:
                    objects.pop(key, None)
                    return 204, b"", {}
        raise S3Error(501, "NotImplemented", "the fake store does not do this")

    @staticmethod
    def _list(bucket, objects, query):
        prefix, after = query.get("prefix", ""), query.get("continuation-token") or query.get("start-after", "")
        try:
            limit = max(0, min(int(query.get("max-keys", "1000")), 1000))
        except ValueError:
            raise S3Error(400, "InvalidArgument", "max-keys") from None
        found = [key for key in sorted(objects) if key.startswith(prefix) and key > after]
        page, shown = found[:limit], quote if query.get("encoding-type") == "url" else escape
        text = f"<Name>{bucket}</Name><Prefix>{shown(prefix)}</Prefix><MaxKeys>{limit}</MaxKeys>"
        text += f"<KeyCount>{len(page)}</KeyCount><IsTruncated>{str(len(page) < len(found)).lower()}</IsTruncated>"
        if page and len(page) < len(found):
            text += f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>"
        for key in page:
            body, etag, _, at = objects[key]
            changed = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(at))
            text += f"<Contents><Key>{shown(key)}</Key><LastModified>{changed}</LastModified>"
            text += f"<ETag>{escape(etag)}</ETag><Size>{len(body)}</Size></Contents>"
        space = "http://s3.amazonaws.com/doc/2006-03-01/"
        return xml(f'<ListBucketResult xmlns="{space}">{text}</ListBucketResult>')

    # ---- AWS Signature V4 ----------------------------------------------------------------------------------------

    def _verify(self, request, query):
        headers, asked, presigned = request.headers, dict(query), True
        if "X-Amz-Signature" not in asked:
            presigned = False
            scheme, _, rest = headers.get("Authorization", "").partition(" ")
            if not scheme:
                raise S3Error(403, "AccessDenied", "no signature")
            given = {}
            for part in rest.split(","):
                name, _, value = part.strip().partition("=")
                given[f"X-Amz-{name}"] = value
            asked = given | {"X-Amz-Algorithm": scheme, "X-Amz-Date": headers.get("X-Amz-Date", "")}
        try:
            date, signature = asked["X-Amz-Date"], asked["X-Amz-Signature"]
            at = timegm(time.strptime(date, "%Y%m%dT%H%M%SZ"))
            access, day, region, service, end = asked["X-Amz-Credential"].split("/")
            signed = asked["X-Amz-SignedHeaders"].split(";")
            expires = int(asked["X-Amz-Expires"]) if presigned else 0
        except (KeyError, ValueError):
            raise S3Error(400, "AuthorizationHeaderMalformed", "an incomplete signature") from None
        if (asked["X-Amz-Algorithm"], day, service, end) != ("AWS4-HMAC-SHA256", date[:8], "s3", "aws4_request"):
            raise S3Error(400, "AuthorizationHeaderMalformed", "algorithm or scope")
        known, _, secret = self.secret().partition(":")
        if access != known:
            raise S3Error(403, "InvalidAccessKeyId", "The access key id is not known")
        now = time.time()
        if presigned and not (at - AWS_SKEW <= now <= at + expires and 0 < expires <= 604_800):
            raise S3Error(403, "AccessDenied", "Request has expired")
        if not presigned and abs(now - at) > AWS_SKEW:
            raise S3Error(403, "RequestTimeTooSkewed", "The difference between the clocks is too large")
        lower = {name.lower() for name in headers.keys()}
        if "host" not in signed or {name for name in lower if name.startswith("x-amz-")} - set(signed):
            raise S3Error(403, "AccessDenied", "There were headers present in the request which were not signed")
        payload = self._payload(request, presigned)
        pairs = sorted((aws_quote(k), aws_quote(v)) for k, v in query if not (presigned and k == "X-Amz-Signature"))
        lines = []
        for name in signed:
            values = [" ".join(value.split()) for value in headers.get_all(name, [])]
            lines.append(f"{name}:{','.join(values)}\n")
        uri = aws_quote(unquote(request.path), "/-_.~")
        canonical = [request.method, uri, "&".join(f"{k}={v}" for k, v in pairs), "".join(lines), ";".join(signed)]
        hashed = hashlib.sha256("\n".join([*canonical, payload]).encode()).hexdigest()
        to_sign = "\n".join(["AWS4-HMAC-SHA256", date, f"{day}/{region}/s3/aws4_request", hashed])
        key = b"AWS4" + secret.encode()
        for part in (day, region, "s3", "aws4_request", to_sign):
            key = hmac.digest(key, part.encode(), "sha256")
        if not hmac.compare_digest(key.hex(), signature):
            raise S3Error(403, "SignatureDoesNotMatch", "The signature does not match the one calculated")

    @staticmethod
    def _payload(request, presigned):
        given = request.headers.get("X-Amz-Content-Sha256")
        if given is None and not presigned:
            raise S3Error(400, "InvalidRequest", "Missing required header: x-amz-content-sha256")
        if given in (None, "UNSIGNED-PAYLOAD"):
            return "UNSIGNED-PAYLOAD"
        if given != hashlib.sha256(request.body).hexdigest():
            raise S3Error(400, "XAmzContentSHA256Mismatch", "x-amz-content-sha256 does not match the body")
        return given
