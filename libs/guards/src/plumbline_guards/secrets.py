"""Keys, tokens and passwords by the marks that their makers gave them, or by the word before them."""

import re
from typing import Final

KEYWORD: Final = (
    r"(?i:pass(?:word|wd|phrase)|passwd|pwd|secret|token|credential"
    r"|(?:api|access|account|auth|client|encryption|private|secret|signing)[_-]?(?:key|secret|token))"
)
KEY_HEADER: Final = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:\s|\\[nr]){0,8}"
    r"(?=[A-Za-z0-9+/=]{16}|Proc-Type|Version|Comment|DEK-Info)"
)
"""Needs a body: who explains what a key looks like has not given one away."""
KEY_HEADER_CHARACTERS: Final = 128
KEY_FOOTER: Final = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
KEY_FOOTER_CHARACTERS: Final = 80

URL_CREDENTIALS: Final = re.compile(
    r"(?<![A-Za-z0-9])[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s/@:]{0,64}:[^\s/@]{1,256}@[A-Za-z0-9.:_-]{1,255}"
)
TOKEN: Final = re.compile(
    r"(?:(?<![A-Za-z0-9])|(?<=\\[nrt]))(?:"  # in JSON a line ends with \n
    r"(?:AKIA|ASIA|ABIA|ACCA|A3T[A-Z0-9])[A-Z0-9]{16}(?![A-Za-z0-9])"  # AWS access key id
    r"|gh[oprsu]_[A-Za-z0-9]{30,255}|github_pat_[A-Za-z0-9_]{22,255}"
    r"|glpat-[A-Za-z0-9_-]{20,64}"  # GitLab
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,250}|xapp-[A-Za-z0-9-]{10,250}"  # Slack
    r"|sk-[A-Za-z0-9_-]{20,250}"  # OpenAI, Anthropic
    r"|[prs]k_(?:live|test)_[A-Za-z0-9]{16,250}|whsec_[A-Za-z0-9]{16,128}"  # Stripe
    r"|AIza[A-Za-z0-9_-]{35}|ya29\.[A-Za-z0-9_-]{20,512}"  # Google
    r"|hf_[A-Za-z0-9]{30,64}|npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{50,512}|dop_v1_[a-f0-9]{64}"
    r"|SG\.[A-Za-z0-9_-]{16,64}\.[A-Za-z0-9_-]{16,64}"  # SendGrid
    r"|eyJ[A-Za-z0-9_-]{8,2048}\.eyJ[A-Za-z0-9_-]{4,2048}\.[A-Za-z0-9_-]{0,2048}"  # JSON web token (RFC 7519)
    r")"
)
ASSIGNED: Final = re.compile(
    KEYWORD
    + r"""(?:["'` ]{0,2}={1,2}>?["'` ]{0,2}(?=[^ "'`=]{4})"""
    + r"""|["'`]?:["'` ]{0,2}(?=[^ "'`]{6})(?=[^ "'`]*[\d!#$%&*+@^_]))"""
    + r"""(?P<value>[^ "'`&]{4,512})"""
)
"""After a colon, which is prose's too, a value must have six characters and one that is no letter."""
BEARER: Final = re.compile(r"(?i:\bbearer) {1,2}(?P<value>[A-Za-z0-9._~+/=-]{20,2048})")
EMAIL: Final = re.compile(
    r"(?<![A-Za-z0-9\u00c0-\u024f._%+-])[A-Za-z0-9\u00c0-\u024f_%+-][A-Za-z0-9\u00c0-\u024f._%+-]{0,63}"
    r"@(?:[A-Za-z0-9\u00c0-\u024f](?:[A-Za-z0-9\u00c0-\u024f-]{0,62})\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9])"
)
SSN: Final = re.compile(r"(?<![^\W_])(?<!-)(?!000|666|9)\d{3}([ -])(?!00)\d{2}\1(?!0000)\d{4}(?![^\W_]|-)")
