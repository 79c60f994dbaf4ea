"""Well-known formats of secrets, as their issuers document them.

All patterns are linear: no nested repetition, and each begins with a literal that a cheap search looks for first.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# name, literals of which one occurs in every match, pattern
FORMATS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("AWS access key", ("AKIA", "ASIA", "AROA", "AIDA"), r"\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}\b"),
    ("GitHub token", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), r"\bgh[pousr]_[A-Za-z0-9]{30,255}"),
    ("GitHub fine-grained token", ("github_pat_",), r"\bgithub_pat_[A-Za-z0-9_]{22,255}"),
    (
        "GitLab token",
        ("glpat-", "gldt-", "glrt-", "glptt-", "glcbt-"),
        r"\bgl(?:pat|dt|rt|ptt|cbt)-[A-Za-z0-9_\-]{16,255}",
    ),
    ("Slack token", ("xox",), r"\bxox[abeoprs]-[A-Za-z0-9\-]{10,255}"),
    ("Slack app token", ("xapp-",), r"\bxapp-[A-Za-z0-9\-]{10,255}"),
    ("Slack webhook", ("hooks.slack.com",), r"hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9/+_\-]{20,255}"),
    ("Discord webhook", ("/api/webhooks/",), r"discord(?:app)?\.com/api/webhooks/[0-9]{5,30}/[A-Za-z0-9_\-]{20,255}"),
    ("Google API key", ("AIza",), r"\bAIza[A-Za-z0-9_\-]{35}"),
    ("Google OAuth token", ("ya29.",), r"\bya29\.[A-Za-z0-9_\-]{20,2048}"),
    ("Google OAuth secret", ("GOCSPX-",), r"\bGOCSPX-[A-Za-z0-9_\-]{20,64}"),
    ("Stripe key", ("sk_live_", "rk_live_", "sk_test_", "rk_test_"), r"\b[sr]k_(?:live|test)_[A-Za-z0-9]{10,255}"),
    ("Stripe webhook secret", ("whsec_",), r"\bwhsec_[A-Za-z0-9+/=]{16,255}"),
    ("Anthropic key", ("sk-ant-",), r"\bsk-ant-[A-Za-z0-9_\-]{16,255}"),
    (
        "OpenAI key",
        ("sk-",),
        r"\bsk-(?:(?:proj|svcacct|admin|or-v1|None|lf)-[A-Za-z0-9_\-]{20,255}|(?=[A-Za-z_]{0,99}[0-9])\w{20,255})",
    ),
    ("Hugging Face token", ("hf_", "api_org_"), r"\b(?:hf_|api_org_)[A-Za-z0-9]{30,64}"),
    ("Replicate token", ("r8_",), r"\br8_[A-Za-z0-9]{30,64}"),
    ("Groq key", ("gsk_",), r"\bgsk_[A-Za-z0-9]{30,64}"),
    ("Perplexity key", ("pplx-",), r"\bpplx-[A-Za-z0-9]{30,64}"),
    ("xAI key", ("xai-",), r"\bxai-[A-Za-z0-9]{40,128}"),
    ("Weights and Biases key", ("wandb_v1_",), r"\bwandb_v1_[A-Za-z0-9_]{20,128}"),
    ("PyPI token", ("pypi-",), r"\bpypi-[A-Za-z0-9_\-]{16,1024}"),
    ("npm token", ("npm_",), r"\bnpm_[A-Za-z0-9]{30,64}"),
    ("RubyGems key", ("rubygems_",), r"\brubygems_[a-f0-9]{32,64}"),
    ("crates.io token", ("cio",), r"\bcio[A-Za-z0-9]{32}\b"),
    ("Docker token", ("dckr_pat_", "dckr_oat_"), r"\bdckr_[po]at_[A-Za-z0-9_\-]{20,128}"),
    ("SendGrid key", ("SG.",), r"\bSG\.[A-Za-z0-9_\-]{16,64}\.[A-Za-z0-9_\-]{16,64}"),
    ("Twilio key", ("SK", "AC"), r"\b(?:SK|AC)[0-9a-f]{32}\b"),
    ("Mailgun key", ("key-",), r"\bkey-[0-9a-f]{32}\b"),
    ("Mailchimp key", ("-us",), r"\b[0-9a-f]{32}-us[0-9]{1,2}\b"),
    ("Postman key", ("PMAK-",), r"\bPMAK-[A-Za-z0-9]{20,64}-[A-Za-z0-9]{20,64}"),
    ("Databricks token", ("dapi",), r"\bdapi[0-9a-f]{32}(?:-[0-9])?\b"),
    ("DigitalOcean token", ("dop_v1_", "doo_v1_", "dor_v1_"), r"\bdo[opr]_v1_[0-9a-f]{32,64}"),
    ("Heroku token", ("HRKU-",), r"\bHRKU-[A-Za-z0-9_\-]{30,128}"),
    ("Fly token", ("FlyV1",), r"\bFlyV1 [A-Za-z0-9_\-+/=,]{20,4096}"),
    ("Netlify token", ("nfp_",), r"\bnfp_[A-Za-z0-9]{30,64}"),
    ("Vercel token", ("vcp_", "vck_"), r"\bvc[pk]_[A-Za-z0-9]{20,64}"),
    ("Cloudflare key", ("v1.0-",), r"\bv1\.0-[0-9a-f]{24}-[0-9a-f]{100,200}"),
    ("Shopify token", ("shp",), r"\bshp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}"),
    ("Square token", ("EAAA", "sq0"), r"\b(?:EAAA[A-Za-z0-9_\-]{58,64}|sq0(?:atp|csp|idp)-[A-Za-z0-9_\-]{20,64})"),
    ("PayPal token", ("access_token$",), r"access_token\$(?:production|sandbox)\$[0-9a-z]{8,32}\$[0-9a-f]{32}"),
    ("Facebook token", ("EAA",), r"\bEAA[A-Za-z0-9]{80,255}"),
    ("Telegram bot token", (":AA",), r"\b[0-9]{8,10}:AA[A-Za-z0-9_\-]{32,35}"),
    (
        "Discord bot token",
        ("M", "N", "O"),
        r"\b[MNO][A-Za-z0-9_\-]{23,27}\.[A-Za-z0-9_\-]{6}\.(?=[A-Za-z_\-]{0,40}[0-9])[A-Za-z0-9_\-]{27,40}",
    ),
    ("Notion token", ("ntn_", "secret_"), r"\b(?:ntn_[A-Za-z0-9]{40,64}|secret_[A-Za-z0-9]{43})\b"),
    ("Linear key", ("lin_api_", "lin_oauth_"), r"\blin_(?:api|oauth)_[A-Za-z0-9]{30,64}"),
    ("Airtable token", ("pat",), r"\bpat[A-Za-z0-9]{14}\.[0-9a-f]{64}\b"),
    ("Asana token", ("/",), r"\b[0-9]/[0-9]{16}:[0-9a-f]{32}\b"),
    ("Figma token", ("figd_",), r"\bfigd_[A-Za-z0-9_\-]{30,64}"),
    ("Dropbox token", ("sl.",), r"\bsl\.[A-Za-z0-9_\-]{60,2048}"),
    ("New Relic key", ("NRAK-", "NRJS-", "NRII-"), r"\bNR(?:AK|JS|II)-[A-Za-z0-9]{18,48}"),
    ("Grafana token", ("glsa_", "glc_"), r"\b(?:glsa|glc)_[A-Za-z0-9+/=_]{30,255}"),
    ("Sentry token", ("sntrys_", "sntryu_"), r"\bsntry[su]_[A-Za-z0-9+/=_]{40,255}"),
    ("Datadog key", ("ddapp_", "ddpat_"), r"\bdd(?:app|pat)_[A-Za-z0-9]{30,64}"),
    ("PlanetScale token", ("pscale_",), r"\bpscale_(?:tkn|pw|oauth)_[A-Za-z0-9_\-.=]{30,64}"),
    ("Supabase key", ("sbp_", "sb_secret_"), r"\b(?:sbp_[0-9a-f]{40}|sb_secret_[A-Za-z0-9_\-]{20,64})"),
    ("HashiCorp Vault token", ("hvs.", "hvb.", "hvr."), r"\bhv[sbr]\.[A-Za-z0-9_\-]{20,255}"),
    ("Terraform token", (".atlasv1.",), r"\b[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_\-]{60,80}"),
    ("Doppler token", ("dp.",), r"\bdp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9.\-_]{30,64}"),
    ("Pulumi token", ("pul-",), r"\bpul-[0-9a-f]{40}\b"),
    ("Buildkite token", ("bkua_",), r"\bbkua_[0-9a-f]{40}\b"),
    ("Atlassian token", ("ATATT3", "ATCTT3", "ATBB"), r"\bAT(?:ATT3|CTT3|BB)[A-Za-z0-9_\-=]{20,255}"),
    ("Azure account key", ("AccountKey=",), r"AccountKey=[A-Za-z0-9+/=]{40,100}"),
    ("Azure shared access", ("sig=",), r"\bsig=[A-Za-z0-9%+/=]{40,100}"),
    ("signed URL", ("-Signature=",), r"X-(?:Amz|Goog)-Signature=[0-9A-Fa-f]{40,1024}"),
    ("Azure client secret", ("8Q~", "7Q~"), r"\b[A-Za-z0-9_~.]{3}[78]Q~[A-Za-z0-9_~.\-]{31,34}"),
    ("age key", ("AGE-SECRET-KEY-",), r"\bAGE-SECRET-KEY-1[A-Z0-9]{50,70}"),
    ("1Password token", ("ops_eyJ",), r"\bops_eyJ[A-Za-z0-9_\-=]{60,4096}"),
    ("JSON web token", (".eyJ",), r"\beyJ[A-Za-z0-9_\-]{8,4096}\.eyJ[A-Za-z0-9_\-]{8,8192}\.[A-Za-z0-9_\-]{0,2048}"),
    (
        "private key",
        ("PRIVATE KEY",),
        r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----(?:[^-]|-(?!----))*(?:-----END [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----)?",
    ),
)

# Where a token may begin: after what is no word character, and after what only looks like one: an underscore, an escape
# of a repr (\n), a colour of a terminal (ESC[32m), an escape of a URL (%3D).
_START = r"(?:\b|(?<=_)|(?<=\\[abfnrtv])|(?<=[0-9\[]m)|(?<=%[0-9A-Fa-f]{2}))"
_LONG = re.compile(r"[A-Za-z0-9_\-+/=.~$:%]{16,}")  # every format but two has such a stretch
_BEARER = r"(?i)\b(bearer\s+)([A-Za-z0-9_\-.=+/~]{16,})"
_BASIC = r"(?i)\b(basic\s+)([A-Za-z0-9+/]{8,1024}={0,2})(?![\w+/])"
_SCHEME = r"\b([A-Za-z][A-Za-z0-9+.\-]{1,20}://)"
_USER_INFO = (
    _SCHEME + r"[^\s/@:'\"]{0,256}:([^\s/'\"]{1,2048})@",  # up to the last "@": passwords hold some
    _SCHEME + r"[^\s/@:'\"]{0,256}:(?![0-9]{1,5}[/?#])([^\s@'\"]{1,256})@",  # with "/" in the password, but no port
    _SCHEME + r"([^\s/@:'\"]{20,2048})@",
    r"(?i)\b(jdbc:oracle:thin:)[^\s/@:'\"]{1,256}/([^\s@'\"]{1,256})@",
)


def replace(text: str, by: str) -> tuple[str, int, list[str]]:
    """Replace what has a well-known format; give the text back, with how many there were and passwords of URLs."""
    count = 0
    for _, _, pattern in _candidates(text) if len(text) >= 16 else ():
        if _compiled(pattern.removeprefix(r"\b")).search(text):  # far faster than with what may stand before
            text, found = _compiled(pattern).subn(by, text)
            count += found
    passwords: list[str] = []
    if "@" in text and ("://" in text or "jdbc:" in text):

        def hidden(match: re.Match[str]) -> str:
            passwords.append(match[2])
            return f"{match[1]}{by}@"

        for pattern in _USER_INFO:
            text, found = _compiled(pattern).subn(hidden, text)
            count += found
    if "earer" in text or "EARER" in text:
        text, found = _compiled(_BEARER).subn(rf"\1{by}", text)
        count += found
    if "asic " in text or "ASIC " in text:
        basics: list[str] = []
        text = _compiled(_BASIC).sub(lambda match: _basic(match, by, basics), text)
        count += len(basics)
    return text, count, passwords


def _candidates(text: str) -> Sequence[tuple[str, tuple[str, ...], str]]:
    """Give the formats of which a literal stands in one of the text's long stretches."""
    stretches = _LONG.findall(text)
    if not stretches:
        return _WITH_BLANKS if "PRIVATE KEY" in text or "FlyV1" in text else ()
    joined = (
        "\n".join(stretches)
        + ("\nPRIVATE KEY" if "PRIVATE KEY" in text else "")
        + ("\nFlyV1" if "FlyV1" in text else "")
    )
    return [one for one in FORMATS if any(literal in joined for literal in one[1])]


_WITH_BLANKS = tuple(one for one in FORMATS if one[0] in ("private key", "Fly token"))


def _basic(match: re.Match[str], by: str, found: list[str]) -> str:
    """Replace what is user and password in base64 (RFC 7617); "basic" is a word of prose as well."""
    import binascii

    try:
        plain = binascii.a2b_base64(match[2] + "=" * (-len(match[2]) % 4))
    except binascii.Error:
        return match[0]
    if b":" not in plain or not plain.isascii():
        return match[0]
    found.append(match[2])
    return f"{match[1]}{by}"


def find(text: str) -> list[str]:
    """Name the formats that occur in `text`; names and assignments are not looked at."""
    return [name for name, _, pattern in _candidates(text) if _compiled(pattern).search(text)]


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    if pattern.startswith(r"\b"):
        pattern = _START + pattern[2:]
    return re.compile(pattern)  # one at a time, when its literal occurs: all of them take milliseconds
