"""Meta's Graph API as far as a Custom Audience sync and a Conversions API client meet it.

Rows are held packed (a mask, 32 bytes a hash, the plain identifiers), so that 5 million of them fit in memory.
"""

import base64
import functools
import hashlib
import itertools
import json
import re
import threading
import time
from itertools import repeat
from json.encoder import encode_basestring_ascii as quoted
from urllib.parse import parse_qs, urlencode

HASHED = ("EMAIL", "PHONE", "GEN", "DOBY", "DOBM", "DOBD", "FN", "LN", "CT", "ST", "ZIP", "COUNTRY")
PLAIN = ("EXTERN_ID", "MADID")
IDENTIFYING = ("EXTERN_ID", "EMAIL", "PHONE", "MADID")
BIT = {key: 1 << n for n, key in enumerate(HASHED + PLAIN)}
HAS_EXTERN, HAS_MADID = BIT["EXTERN_ID"], BIT["MADID"]
EMPTY_HASH = hashlib.sha256(b"").hexdigest()
HEX = re.compile("[0-9a-f]*")
MAX_ROWS, MAX_EVENTS = 10_000, 1_000
WEEK, DEDUPLICATION = 7 * 86_400, 48 * 3_600
USER_DATA = frozenset(
    "em ph ge db ln fn ct st zp country external_id client_ip_address client_user_agent fbc fbp madid lead_id "
    "subscription_id fb_login_id anon_id page_id page_scoped_user_id ctwa_clid".split()
)


class Refused(Exception):
    """The answer is a Graph error."""

    def __init__(self, code, message, subcode=None, status=400):
        super().__init__(message)
        self.status = status
        self.body = {"error": {"message": message, "type": "OAuthException", "code": code, "fbtrace_id": "x"}}
        if subcode is not None:
            self.body["error"]["error_subcode"] = subcode


def unpack(packed):
    """The row {KEY: value} of the non-empty fields."""
    mask, at, row = packed[0] | packed[1] << 8, 2, {}
    for key in HASHED:
        if mask & BIT[key]:
            row[key] = packed[at : at + 32].hex()
            at += 32
    end = len(packed)
    if mask & HAS_MADID:
        begin = end - 4 - int.from_bytes(packed[-4:], "big")
        row["MADID"] = packed[begin : end - 4].decode("utf-8", "surrogatepass")
        end = begin
    if mask & HAS_EXTERN:
        row["EXTERN_ID"] = packed[at:end].decode("utf-8", "surrogatepass")
    return row


@functools.cache
def _layout(mask):
    """A template of the canonical JSON, for each value its place in the packed row's hex, and the end of the hashes."""
    keys = sorted(key for key in BIT if mask & BIT[key])
    begin = {key: 4 + 64 * n for n, key in enumerate(key for key in HASHED if key in keys)}
    places = [slice(begin[key], begin[key] + 64) if key in begin else None for key in keys]
    parts = [f'"{key}":"%s"' if key in begin else f'"{key}":%s' for key in keys]
    return "{" + ",".join(parts) + "}", places, 2 + 32 * len(begin)


def row_key(packed):
    """SHA-256 of the row's canonical JSON: sorted keys, no spaces, ASCII."""
    mask = packed[0] | packed[1] << 8
    template, places, end = _layout(mask)
    if mask & HAS_MADID:
        row = unpack(packed)
        plain = iter([quoted(row[key]) for key in PLAIN if key in row])
    else:
        plain = iter([quoted(packed[end:].decode("utf-8", "surrogatepass"))])
    hexes = packed.hex()
    text = template % tuple([hexes[place] if place else next(plain) for place in places])
    return hashlib.sha256(text.encode()).digest()


def pack(columns, count):
    """The packed rows of a batch, built column by column because a loop over single fields would be too slow."""
    hashed = [columns[key] for key in HASHED if key in columns]
    full = [key for key, column in columns.items() if "" not in column]
    masks = [sum(BIT[key] for key in full)] * count
    for key in columns.keys() - full:
        bit = BIT[key]
        masks = [mask | bit if value else mask for mask, value in zip(masks, columns[key])]
    joined = map("".join, zip(*hashed)) if hashed else repeat("", count)
    plain = repeat(b"", count)
    if "EXTERN_ID" in columns:
        plain = [value.encode("utf-8", "surrogatepass") for value in columns["EXTERN_ID"]]
    if "MADID" in columns:
        madid = [value.encode("utf-8", "surrogatepass") for value in columns["MADID"]]
        plain = [a + b + len(b).to_bytes(4, "big") if b else a for a, b in zip(plain, madid)]
    head = {mask: mask.to_bytes(2, "little") for mask in set(masks)}
    from_hex = bytes.fromhex
    return [head[mask] + from_hex(hexes) + rest for mask, hexes, rest in zip(masks, joined, plain)]


class Audience:
    """A set of rows, and for each identifying field an index from a short hash of a value to the rows that have it."""

    def __init__(self, number, name, account):
        self.id, self.name, self.account = number, name, account
        self.lock = threading.Lock()
        self.rows = set()
        self.index = {key: {} for key in IDENTIFYING}
        self.sessions = {}
        self.requests = 0

    def add(self, columns, count):
        rows, new = self.rows, []
        for n, packed in enumerate(pack(columns, count)):
            if packed not in rows:
                rows.add(packed)
                new.append((n, packed))
        for key, index in self.index.items():
            column = columns.get(key)
            if column is None:
                continue
            for n, packed in new:
                value = column[n]
                if value:
                    # 59 bits of the hash make a small int; a collision does no harm, removal compares the values.
                    short = hash(value) >> 5
                    held = index.setdefault(short, packed)
                    if held is not packed:
                        if type(held) is set:
                            held.add(packed)
                        else:
                            index[short] = {held, packed}

    def remove(self, columns):
        for key, index in self.index.items():
            for value in columns.get(key, ()):
                held = index.get(hash(value) >> 5) if value else None
                if held is not None:
                    for packed in list(held) if type(held) is set else [held]:
                        row = unpack(packed)
                        if row.get(key) == value:
                            self._forget(packed, row)

    def _forget(self, packed, row):
        self.rows.discard(packed)
        for key, index in self.index.items():
            if key in row:
                short = hash(row[key]) >> 5
                held = index.get(short)
                if type(held) is set:
                    held.discard(packed)
                    if not held:
                        del index[short]
                elif held is not None:
                    del index[short]

    def describe(self, members=False, digest=False):
        with self.lock:
            held = list(self.rows) if members or digest else ()
            seen = {"rows": len(self.rows), "sessions": len(self.sessions), "requests": self.requests}
        if digest:
            whole = hashlib.sha256()
            for key in sorted(map(row_key, held)):
                whole.update(key)
            return {"rows": seen["rows"], "digest": whole.hexdigest()}
        if members:
            seen["members"] = sorted(map(unpack, held), key=lambda row: json.dumps(row, sort_keys=True))
        return seen


class Meta:
    def __init__(self, token):
        self.token = token
        self.numbers = itertools.count(23_850_000_000_000_001)
        self.lock = threading.Lock()
        self.reset()

    def reset(self):
        with self.lock:
            self.audiences, self.pixels, self.bad_rows = {}, {}, {}

    def handle(self, request):
        """(status, JSON value) for any path below /vNN.N/."""
        try:
            return 200, self._route(request)
        except Refused as refused:
            return refused.status, refused.body

    def _route(self, request):
        token, query = self.token(), parse_qs(request.query)
        if "access_token" in query or token in request.query or token in request.path:
            raise Refused(1, "token in URL")
        if request.headers.get("Authorization") != f"Bearer {token}":
            raise Refused(190, "Invalid OAuth access token - Cannot parse access token")
        method, parts = request.method, request.path.strip("/").split("/")[1:]
        node, edge = parts[0] if parts else "", "/".join(parts[1:])
        match re.sub(r"\d+$", "", node), method, edge:
            case "act_", "GET", "":
                return self._account(node)
            case "act_", "GET", "customaudiences":
                return self._list(self._account(node)["account_id"], query, request)
            case "act_", "POST", "customaudiences":
                return self._create(self._account(node)["account_id"], request)
            case "", "GET", "" if node.startswith("7"):
                return {"id": node, "name": f"Pixel {node}"}
            case "", "POST", "events" if node.startswith("7"):
                return self._events(node, request)
            case "", "GET", "":
                return self._fields(self._audience(node), query)
            case "", "POST" | "DELETE", "users":
                return self._users(self._audience(node), request)
        raise Refused(100, f"Unsupported {method.lower()} request", 33 if not edge else None)

    @staticmethod
    def _account(node):
        number = node.removeprefix("act_")
        if number.startswith("9"):
            raise Refused(100, f"Unsupported get request. Object with ID '{node}' does not exist", 33)
        return {"id": node, "account_id": number, "name": f"Account {number}", "account_status": 1}

    def _audience(self, node):
        audience = self.audiences.get(node)
        if audience is None:
            raise Refused(100, f"Unsupported request. Object with ID '{node}' does not exist", 33)
        return audience

    @staticmethod
    def _body(request):
        if request.headers.get_content_type() != "application/json":
            raise Refused(100, "the body must be application/json")
        try:
            body = request.json()
        except ValueError:
            raise Refused(100, "the body is not JSON") from None
        if not isinstance(body, dict):
            raise Refused(100, "the body is not a JSON object")
        return body

    def _create(self, account, request):
        body = self._body(request)
        if not isinstance(body.get("name"), str) or not body["name"]:
            raise Refused(100, "(#100) name is required")
        if body.get("subtype") != "CUSTOM":
            raise Refused(100, "(#100) subtype must be CUSTOM")
        if body.get("customer_file_source") != "USER_PROVIDED_ONLY":
            raise Refused(100, "(#100) customer_file_source must be USER_PROVIDED_ONLY")
        with self.lock:
            audience = Audience(str(next(self.numbers)), body["name"], account)
            self.audiences[audience.id] = audience
        return {"id": audience.id}

    def _list(self, account, query, request):
        try:
            limit = int(query.get("limit", ["25"])[0])
            begin = int(base64.urlsafe_b64decode(query["after"][0])) if "after" in query else 0
        except ValueError:
            raise Refused(100, "(#100) limit or after is not valid") from None
        with self.lock:
            found = [audience for audience in self.audiences.values() if audience.account == account]
        if account == "666":
            # A list that never ends.
            cursor = base64.urlsafe_b64encode(str(begin + limit).encode()).decode()
            return {"data": [{"id": "1", "name": "another"}],
                    "paging": {"cursors": {"after": cursor}, "next": f"https://{request.headers.get('Host')}{request.path}"}}
        page = found[begin : begin + max(limit, 1)]
        if not page:
            return {"data": []}
        cursor = {"before": begin, "after": begin + len(page)}
        cursor = {key: base64.urlsafe_b64encode(str(at).encode()).decode() for key, at in cursor.items()}
        paging = {"cursors": cursor}
        if begin + len(page) < len(found):
            asked = {key: values[0] for key, values in query.items()} | {"after": cursor["after"]}
            paging["next"] = f"https://{request.headers.get('Host')}{request.path}?{urlencode(asked)}"
        return {"data": [{"id": audience.id, "name": audience.name} for audience in page], "paging": paging}

    @staticmethod
    def _fields(audience, query):
        rows = len(audience.rows)
        everything = {
            "id": audience.id,
            "name": audience.name,
            "account_id": audience.account,
            "subtype": "CUSTOM",
            "operation_status": {"code": 200, "description": "Normal"},
            "approximate_count_lower_bound": max(rows // 100 * 100, 1000),
            "approximate_count_upper_bound": max(rows // 100 * 100, 1000) + 100,
            "delivery_status": {"code": 200, "description": "This audience is ready for use."}
            if rows >= 100
            else {"code": 300, "description": "This audience is too small."},
        }
        wanted = {"id", *",".join(query.get("fields", everything)).split(",")}
        return {key: value for key, value in everything.items() if key in wanted}

    # ---- rows ----------------------------------------------------------------------------------------------------

    def _users(self, audience, request):
        with audience.lock:
            audience.requests += 1
        body, adding = self._body(request), request.method == "POST"
        session, payload = body.get("session"), body.get("payload")
        if not isinstance(session, dict) or not isinstance(payload, dict):
            raise Refused(100, "session and payload must be objects")
        schema, data = self._shape(payload.get("schema"), payload.get("data"))
        session_id, seq, last, total = self._session(session)
        bad = self.bad_rows.get(audience.id)
        if adding and bad and not all(bad["values"].isdisjoint(row) for row in data):
            raise Refused(bad["code"], "Invalid parameter", bad["subcode"])
        invalid, columns = self._validate(schema, data)
        count = len(data) - sum(len(rows) for rows in invalid.values())
        with audience.lock:
            before, received, closed = audience.sessions.get(session_id, (0, 0, False))
            received += len(data)
            if closed:
                raise Refused(100, f"session {session_id} was already completed", 1870145)
            if seq <= before or (before == 0 and seq != 1):
                raise Refused(100, f"batch_seq {seq} must be 1 in a new session and grow after {before}")
            if total < received:
                raise Refused(100, f"estimated_num_total {total} is smaller than the {received} rows received")
            audience.sessions[session_id] = (seq, received, last)
            if adding:
                audience.add(columns, count)
            else:
                audience.remove(columns)
        return {
            "audience_id": audience.id,
            "session_id": str(session_id),
            "num_received": len(data),
            "num_invalid_entries": len(data) - count,
            "invalid_entry_samples": {rows[0]: reason for reason, rows in invalid.items()},
        }

    @staticmethod
    def _shape(schema, data):
        if not isinstance(schema, list) or not schema:
            raise Refused(100, "payload.schema must be a list of keys")
        for key in schema:
            if not isinstance(key, str) or key not in BIT:
                raise Refused(100, f"unknown schema key {key!r}")
        if len(set(schema)) != len(schema):
            raise Refused(100, "a schema key stands twice")
        if not isinstance(data, list) or not data:
            raise Refused(100, "payload.data has no rows")
        if len(data) > MAX_ROWS:
            raise Refused(100, f"payload.data has {len(data)} rows, the limit is {MAX_ROWS}")
        if set(map(type, data)) != {list} or set(map(len, data)) != {len(schema)}:
            raise Refused(100, f"a row has not the {len(schema)} values of the schema")
        return schema, data

    @staticmethod
    def _session(session):
        session_id, seq, total = (session.get(key) for key in ("session_id", "batch_seq", "estimated_num_total"))
        if type(session_id) is not int or not 0 < session_id < 1 << 63:
            raise Refused(100, "session_id is not a positive 64-bit integer")
        if type(seq) is not int or type(total) is not int:
            raise Refused(100, "batch_seq and estimated_num_total must be integers")
        if type(session.get("last_batch_flag")) is not bool:
            raise Refused(100, "last_batch_flag must be true or false")
        return session_id, seq, session["last_batch_flag"], total

    @staticmethod
    def _validate(schema, data):
        """Invalid rows by reason (a sample value for each row), and the columns of the valid rows."""
        columns, invalid, dropped = dict(zip(schema, zip(*data))), {}, {}
        for key, column in columns.items():
            if set(map(type, column)) != {str}:
                raise Refused(100, f"a value of {key} is not a string")
            if key in PLAIN:
                continue
            # A whole column is tested at once; single values are looked at only when that finds something.
            if set(map(len, column)) <= {0, 64} and HEX.fullmatch("".join(column)) and EMPTY_HASH not in column:
                continue
            for n, value in enumerate(column):
                if value == EMPTY_HASH:
                    dropped.setdefault(n, (f"{key} is the hash of an empty string", value))
                elif value and (len(value) != 64 or not HEX.fullmatch(value)):
                    dropped.setdefault(n, (f"{key} is not a SHA-256 in lower-case hex", value))
        for reason, value in dropped.values():
            invalid.setdefault(reason, []).append(value)
        if dropped:
            columns = {key: [v for n, v in enumerate(column) if n not in dropped] for key, column in columns.items()}
        return invalid, columns

    # ---- events --------------------------------------------------------------------------------------------------

    def _events(self, pixel, request):
        data, now = self._body(request).get("data"), time.time()
        if not isinstance(data, list) or not data or len(data) > MAX_EVENTS:
            raise Refused(100, f"data must be a list of 1 to {MAX_EVENTS} events")
        for event in data:
            if not isinstance(event, dict):
                raise Refused(100, "an event is not an object")
            for key in ("event_name", "event_id", "action_source"):
                if not isinstance(event.get(key), str) or not event[key]:
                    raise Refused(100, f"an event has no {key}")
            if type(event.get("event_time")) is not int or not now - WEEK <= event["event_time"] <= now + 60:
                raise Refused(100, "event_time is not within the last 7 days", 2804003)
            known = event.get("user_data")
            if not isinstance(known, dict) or not any(known.get(key) for key in USER_DATA):
                raise Refused(100, "user_data has no known key", 2804050)
        with self.lock:
            seen = self.pixels.setdefault(pixel, {"events": [], "duplicates": 0, "first": {}})
            for event in data:
                key = (event["event_id"], event["event_name"])
                if now - seen["first"].get(key, float("-inf")) < DEDUPLICATION:
                    seen["duplicates"] += 1
                else:
                    seen["first"][key] = now
                    seen["events"].append(event)
        return {"events_received": len(data), "messages": [], "fbtrace_id": "x"}
