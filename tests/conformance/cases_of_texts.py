"""Vectors of the canonical form, of addresses and of moments."""

from random import Random

from tests.conformance.oracle_json import KEEPS, canonical_text, random_object

Case = dict[str, object]

NAMED = {
    "worked": '{"b":1.0,"a":null,"n":{"z":2,"y":null}}',
    "nulls": '{"a":null,"b":[null,1,[null],{"c":null}],"d":{}}',
    "numbers": "[0,-0,-0.0,0.0,1.0,-1.0,1e2,1E+2,1e-2,0.1,1.10,5e-324,1.7976931348623157e308]",
    "large": "[1e15,1e16,1e18,1e19,1e20,1e21,1e300,-1e19,123456789012345678901234567890]",
    "edges": "[18446744073709551615,18446744073709551616,18446744073709549568.0,18446744073709551616.0,"
    "-9223372036854775808.0,-9223372036854777856.0]",
    "small": "[0.001,0.0001,0.00001,0.000015,0.000009,0.000001,1e-7,1.5e-7,-1e-10]",
    "sixteen digits": "[1234567890123456.5,0.1234567890123456,1000000000000000.5,0.30000000000000004]",
    "order of names": '{"\uffff":1,"\U0001f600":2,"a":3,"B":4,"":5,"\u00e9":6,"e\u0301":7,"10":8,"9":9}',
    "the last of two": '{"a":1,"b":2,"a":{"c":3},"b":null}',
    "escapes": r'"\u0041\/\b\f\n\r\t\"\\\u0000\u001f\u007f\u2028\u00e9\ud83d\ude00"',
    "scalars": " true ",
    "an integer of 4300 digits": "7" * 4300,
    "a hundred levels": "[" * 100 + "]" * 100,
    "members of a name that is left out": '{"security":1,"a":{"security":2},"sig":null}',
}
REFUSED = {
    "nothing": b"",
    "blank": b" ",
    "not a number": b'{"a":NaN}',
    "infinite": b"[Infinity]",
    "a float out of range": b"1e999",
    "an integer of 4301 digits": b"7" * 4301,
    "a leading zero": b"01",
    "a bare point": b"1.",
    "a plus": b"+1",
    "a trailing comma": b'{"a":1,}',
    "a comment": b"{}//",
    "two values": b"{} {}",
    "single quotes": b"{'a':1}",
    "half a pair": b'"\\ud800"',
    "the wrong half of a pair": b'"\\udc00\\ud800"',
    "not UTF-8": b'"\xff"',
    "half a pair as UTF-8": b'"\xed\xa0\x80"',
    "too long UTF-8": b'"\xc0\xaf"',
    "a line in a string": b'"a\nb"',
    "an unknown escape": b'"\\x41"',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "101 levels": b"[" * 101 + b"]" * 101,
    "unclosed": b'{"a":[1',
    "a name that is no string": b"{1:2}",
}
ADDRESSES: list[tuple[str, str | None, str, tuple[str, str, bool] | None]] = [
    ("s3://bucket/key", None, "", ("bucket", "key", False)),
    ("s3://bucket/a/b/c.png", "other", "p/", ("bucket", "a/b/c.png", False)),
    ("s3://bucket/folder/", None, "", ("bucket", "folder/", True)),
    ("s3://bucket", None, "", ("bucket", "", False)),
    ("s3://bucket/", None, "", ("bucket", "", True)),
    ("s3://bucket//key", None, "", ("bucket", "key", False)),
    ("key", "bucket", "", ("bucket", "key", False)),
    ("/key", "bucket", "", ("bucket", "key", False)),
    ("key", "bucket", "jobs/j-1/", ("bucket", "jobs/j-1/key", False)),
    ("folder/", "bucket", "jobs/", ("bucket", "jobs/folder/", True)),
    ("", "bucket", "jobs/", ("bucket", "jobs/", True)),
    ("ünï/日本.png", "bucket", "", ("bucket", "ünï/日本.png", False)),
    ("a b?c#d%2F", "bucket", "", ("bucket", "a b?c#d%2F", False)),
    ("..name", "bucket", "", ("bucket", "..name", False)),
    ("key", None, "", None),
    ("key", "", "", None),
    ("s3://", None, "", None),
    ("s3:///key", None, "", None),
    ("s3:///key", "bucket", "", None),
    ("gs://bucket/key", None, "", None),
    ("file:///etc/passwd", "bucket", "", None),
    ("S3://bucket/key", None, "", None),
    ("../key", "bucket", "jobs/j-1/", None),
    ("s3://bucket/a/../../b", None, "", None),
    ("s3://bucket/./b", None, "", None),
    ("s3://bucket/..", None, "", None),
    ("a\x00b", "bucket", "", None),
]
MOMENTS = [0, 1, 59, 60, 61, 3600, -59, -60, -61, 0.25, 60.25, 60.99, 61.0, -60.75, 1e300, -1790000000]


def canonical() -> list[Case]:
    """Named texts and random ones, in every form."""
    chance = Random(14)
    texts = dict(NAMED)
    texts.update((f"random {n}", random_object(chance)) for n in range(60))
    cases: list[Case] = []
    for name, text in texts.items():
        forms = list(KEEPS) if len(text) < 1000 else ["r14"]
        without = ("security", "sig") if "left out" in name else ()
        for form in forms if not name.startswith("random") else [chance.choice(forms), "r14"]:
            expected = canonical_text(text, form, without)
            cases.append(
                {"name": f"{name}, {form}", "json": text, "form": form, "without": without, "text": expected}
            )
    return cases


def refused() -> list[Case]:
    """What is not JSON, or too much of it."""
    return [{"name": name, "hex": data.hex()} for name, data in REFUSED.items()]


def addresses() -> list[Case]:
    """Addresses that are known and those that are refused."""
    return [
        {
            "name": f"{uri!r} in {bucket!r} below {prefix!r}",
            "uri": uri,
            "default_bucket": bucket,
            "prefix": prefix,
            "parts": parts and {"bucket": parts[0], "key": parts[1], "is_dir": parts[2]},
        }
        for uri, bucket, prefix, parts in ADDRESSES
    ]


def freshness() -> list[Case]:
    """Moments around the window of 60 seconds."""
    now = 1790000000
    cases: list[Case] = [
        {
            "name": f"{away} seconds away",
            "timestamp": now + away,
            "now": now,
            "fresh": abs(int(now + away) - now) <= 60,
        }
        for away in MOMENTS
    ]
    return [*cases, {"name": "both cut", "timestamp": now + 0.01, "now": now + 60.99, "fresh": True}]
