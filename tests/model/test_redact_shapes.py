"""A secret is taken out in whatever shape it stands: after its name, quoted in quotes, in tables, on command lines."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reprokit.model import secret_commands, secret_names
from reprokit.model.redact import REDACTED, Redactor, strip_url

WORD = "s3cr3t-Hunter2"
PHRASE = "correct horse battery staple"
PLAIN = "swordfish"

# "@" stands for the secret: a word with digits, a plain word, a phrase of four words.
ANY = r"""
password: @
  password: @
- password: @
Password: @
password = @
PASSPHRASE=@
export DB_PASSWORD='@'
DB_PASSWORD="@"
Cfg(user='a', password='@')
Cfg(user=a, password=@, port=5)
Cfg(user=a, password=@)
{user: a, password: @}
{'user': 'a', 'password': '@'}
log: got {'user': 'a', 'password': '@'} from x
"{\"password\": \"@\"}"
"\"{\\\"password\\\": \\\"@\\\"}\""
('password', '@')
["password", "@"]
OrderedDict([('user', 'x'), ('password', '@')])
{b'password': b'@'}
password=b'@'
password=Secret('@')
passwords: ['a', '@']
credentials=('ada', '@')
credentials={'u': 'ada', 'p': '@'}
--password '@'
tool --password='@' --x 1
['tool', '--password', '@', '--x']
['tool', '--password=@', '--x']
{"name": "password", "value": "@"}
{'key': 'Authorization', 'value': '@'}
<password>@</password>
<ns:password>@</ns:password>
<x password="@"/>
password => '@'
config['password'] = '@'
os.environ["API_KEY"] = "@"
API key: @
Secret Key: @
CREATE USER a IDENTIFIED BY '@'
using password '@' for x
def f(user, password: str = '@'):
password='@
x = Cfg(password='@...
KeyError: "password='@'"
password:\n    @\nnext: 1
password: |\n    @\n    more\nnext: 1
secret: 'first\n\n  @\n\n  '\nnext: 1
KEY_PASSWORD="first\n@\nlast"\nnext=1
passwords:\n- @\n- b\nnext: 1
passwords:\n  - @\nnext: 1
{\n  "passwords": [\n    "@",\n    "b"\n  ],\n  "x": 1\n}
user,password\nada,@\n
user\tpassword\nada\t@\n
| user | password |\n|------|----|\n| ada | @ |\n
| password | @ |
 user   password\n ada    @\n
user     ada\npassword     @\nName: 0, dtype: object
Driver={SQL Server};Server=x;UID=a;PWD=@;
Driver=x;PWD={@};Server=y
Server=x;Password=@;Database=y
ESC[32mpasswordESC[0m: ESC[1m@ESC[0m
{"Authorization": "Token @"}
Cookie: a=@; b=c
'Set-Cookie: sid=@; Path=/'
-H "Authorization: Token @"
user=ada pass='@'
machine h login ada password '@'
contraseña: @
пароль: @
[section]\npassword = @\nuser = x
password (default: '@')
curl -u 'ada:@' https://h
mysql -uroot -p'@' db
"""
WORDS = r"""
INFO login password=@ user=bob
INFO password: @ ok
password=@&user=x
https://h/?user=a&password=@&z=1
https://h/#access_token=@&z=1
password%3D@%26user
%22password%22%3A%22@%22
curl -u ada:@ https://h
curl --user=ada:@ https://h
curl -uada:@ https://h
curl -b 'sid=@' https://h
mysql -uroot -p@ db
sshpass -p @ ssh x
redis-cli -a @ ping
docker login -u a -p @ reg
smbclient -U ada%@ //x/y
openssl rsa -passin pass:@ -in k
unzip -P @ a.zip
7z x -p@ a.7z
https://ada:@@host/x
postgresql+psycopg2://ada:@@h:5/x
mongodb+srv://ada:@@h/x
redis://:@@h:6379/0
jdbc:postgresql://h/x?user=a&password=@
jdbc:oracle:thin:scott/@@//h:1521/x
jdbc:sqlserver://h;user=a;password=@;
machine h login ada password @
machine h\n  login ada\n  password @
[(b'authorization', b'@')]
the password was @
java -Djavax.net.ssl.keyStorePassword=@ -jar x
API_KEY=@ python train.py --lr 3
password=@, user=3
(password=@)
password\t@
tool --api-key @ --x 1
"""


def shapes(text):
    return [
        line.replace("\\n", "\n").replace("\\t", "\t").replace("ESC", "\x1b") if '\\"' not in line else line
        for line in text.strip("\n").split("\n")
    ]


def pieces(secret):
    return [secret, *(secret.split() if " " in secret else [])]


@pytest.mark.parametrize("shape", shapes(ANY))
@pytest.mark.parametrize("secret", [WORD, PHRASE, PLAIN], ids=["word", "phrase", "plain"])
def test_a_secret_is_taken_out_in_every_shape(shape, secret):
    """In text that is there as a whole, and in output that comes line by line."""
    text = shape.replace("@", secret)
    stream = Redactor().stream()
    lines = b"".join(stream.feed(line.encode()) for line in text.splitlines(keepends=True)) + stream.close()
    for made in (Redactor().text(text)[0], lines.decode()):
        assert REDACTED in made
        for piece in pieces(secret):
            assert piece not in made


@pytest.mark.parametrize("shape", shapes(WORDS))
def test_a_secret_word_is_taken_out_in_every_shape(shape):
    made, count = Redactor().text(shape.replace("@", WORD, 1) if "@@" in shape else shape.replace("@", WORD))
    assert count
    assert REDACTED in made
    assert WORD not in made


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("INFO login password=hunter2 user=bob took=3", "INFO login password=<redacted> user=bob took=3"),
        ("bad password: hunter2, 3 tries left", "bad password: <redacted>, 3 tries left"),
        ("Cfg(lr=0.1, password=a b, epochs=3)", "Cfg(lr=0.1, password=<redacted>, epochs=3)"),
        ("password: a b c # d\nlr: 0.1", "password: <redacted>\nlr: 0.1"),
        ("Authorization: Basic abcdefgh", "Authorization: Basic <redacted>"),
        ("--password hunter2 --epochs 3", "--password <redacted> --epochs 3"),
        ("https://u:p/w@host/x", "https://<redacted>@host/x"),
        ("curl -u ada:hunter2 -o x https://h", "curl -u ada:<redacted> -o x https://h"),
        ("user,password,n\nada,hunter2,5\nDone, 3", "user,password,n\nada,<redacted>,5\nDone, 3"),
        (
            "    user  password  n\n0    ada   hunter2  5\n\nloss 3",
            "    user  password  n\n0    ada   <redacted>  5\n\nloss 3",
        ),
        ("secrets:\n  a: b\n  c: d\nlr: 3", "secrets:\n  <redacted>\n  <redacted>\nlr: 3"),
    ],
)
def test_what_stands_beside_a_secret_stays(text, made):
    assert Redactor().text(text)[0] == made


BENIGN = r"""
token   count\nthe     5012\nof      312
| token | count |\n| the | 512 |
token,count\nthe,512\nof,33
tokenizer=AutoTokenizer.from_pretrained("bert-base-uncased")
key: value
primary_key=id sort_key=date
high_pass: 0.1 Hz, low_pass: 40 Hz
password_length: 12
password policy: at least 12 characters
password=*******
password: not set
token: None
wrong password for user bob
login failed: the password was wrong
invalid token: expired
SyntaxError: unexpected token: ')'
Unexpected token: identifier
next token: "the" (p=0.31)
token: 17
def login(user: str, password: str | None = None) -> bool:
print(f"password={password}")
token = tokens.next(3)
self.password = password
session 3: 10 trials
database: results.sqlite
pat_id=17
pin_memory=True
GPIO pin 17 = high
zip code: 12345
phrase: hello world
auth_method: kerberos
authorization: denied
{'lr': 0.1, 'tokenizer': 'bpe', 'pad_token': '<pad>', 'eos_token': '</s>'}
mask_token='[MASK]', cls_token='[CLS]'
key_points=[1, 2, 3] keypoints=17
model.layers.0.attention.key.weight torch.Size([768, 768])
KeyError: 'password_length'
docker run -u 1000:1000 image
docker run -p 8080:80 image
curl -s https://example.org/data.csv -o data.csv
python -u train.py -p 0.5
https://example.org:8080/path/@user
git+https://github.com/org/repo@v1.2
jdbc:sqlite:data.db
MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRVGDGTQDNLSGAEKAVQVKVKALPDAQFEVVHSLAKWKRQTLGQHDFSAGEGLYTHMKALRPDEDRLSPLHSVYVDQWDWERVMGDGERQFSTLK
InChI=1S/C9H8O4/c1-6(10)13-8-5-3-2-4-7(8)9(11)12/h2-5H,1H3,(H,11,12)
sk-learn-pipeline-with-a-long-name-v2
sk-some-long-words-with-hyphens-here
Basic usage: plot(data)
Bearer capacity of the soil
sig=0.05
PWD=/home/ada/project
usage: {"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21}
auth=False
otp=0
session id 5
  --token TOKEN  the token to use
"""


@pytest.mark.parametrize("text", shapes(BENIGN))
def test_what_only_looks_like_a_secret_stays(text):
    assert Redactor().text(text) == (text, 0)
    assert Redactor().argv(text.split()) == (text.split(), [])


@pytest.mark.parametrize(
    "name",
    """pin pw dsn sas psk bearer session_id sessionid PGPASSWORD MYSQL_PWD passwords api_keys db_pass userPass X-Api-Key X-Auth-Token
    Set-Cookie Proxy-Authorization openai_key wandb_key seed_phrase id_token oauth_token AWS_SESSION_TOKEN api_tokens connectionString
    conn_str spring.datasource.password contraseña http_auth csrfmiddlewaretoken keystorePassword""".split(),
)
def test_more_secret_names(name):
    assert secret_names.is_secret(name)


@pytest.mark.parametrize(
    "name",
    """pin_memory spin pinhole session session_length auth_method auth_type authentication keypoints key_points passband pat_id
    cookie_recipe monkeys turnkey tokenization detokenize hotkeys keyframes dbscan database_size compass_heading patience dispatch
    seed code zipcode access_log user_id signature_length public_key key_id license connection_count string tokens next_token pass_rate""".split(),
)
def test_more_harmless_names(name):
    assert not secret_names.is_secret(name)


@pytest.mark.parametrize(
    "value",
    [
        {"password": {"a": WORD}},
        {"credentials": {"user": "ada", "p": [WORD]}},
        {"password": {"$reprokit:bytes": WORD.encode().hex()}},
        {"note": {"$reprokit:bytes": f"password={WORD}".encode().hex()}},
        {"$reprokit:mapping": [[1, 2], ["password", WORD]]},
        {"$reprokit:mapping": [[{"$reprokit:bytes": b"password".hex()}, WORD]]},
        {"$reprokit:mapping": [[{"$reprokit:enum": ["K", "PASSWORD"]}, WORD]]},
        {"$reprokit:mapping": [[["db", "password"], {"$reprokit:set": [WORD]}]]},
        {"$type": "dict", "len": 2000, "items": {"password": WORD}},
        {"$type": "tuple", "len": 2, "items": ["password", WORD]},
        {"$type": "pkg.Cfg", "repr": f"Cfg(password={WORD!r})"},
        [["user", "ada"], ["api_key", [WORD]]],
        {"env": [{"name": "API_KEY", "value": WORD}]},
        {"user": "ada", "pass": WORD},
        {"js": json.dumps({"a": json.dumps({"password": WORD})})},
        ["curl", "-u", f"ada:{WORD}"],
        ["tool", "--password", WORD, "-v"],
        ["tool", "--api-keys", "abcdefg1", WORD, "-v"],
        [f"X-Api-Key: {WORD}"],
        {"a": [WORD, {"password": WORD}]},
    ],
)
def test_a_secret_is_taken_out_of_every_value(value):
    made, places = Redactor().value("config", value)
    assert WORD not in json.dumps(made)
    assert WORD.encode().hex() not in json.dumps(made)
    assert places
    assert all(place.startswith("config") for place in places)


def test_numbers_of_scientists_stay():
    value = {"token_count": 5, "pin": 17, "seed": 42, "session": {"n": 3}, "auth_retries": True, "key": 7, "pass": 3}
    assert Redactor().value("config", value) == (value, [])
    assert Redactor().value("config", {"pin": 4821})[0] == {"pin": REDACTED}


def test_what_was_met_under_a_secret_name_is_known_from_then_on():
    redactor = Redactor()
    assert redactor.value("a", [f"log in with {WORD}", {"password": WORD}])[0] == [
        f"log in with {REDACTED}",
        {"password": REDACTED},
    ]
    assert redactor.text(f"cannot log in with {WORD}")[0] == f"cannot log in with {REDACTED}"
    assert Redactor().text(f"cannot log in with {WORD}")[1] == 0
    redactor.value("passphrase", PHRASE)
    assert redactor.text("wrong: correct horse bat...")[0] == "wrong: <redacted>..."
    assert redactor.text("q=correct%20horse%20battery%20staple")[0] == f"q={REDACTED}"
    redactor.value("password", 'a"b\\c-ü1')
    assert "c-" not in redactor.text(json.dumps({"x": 'a"b\\c-ü1'}))[0]
    redactor.value("url", "https://ada:Pa55word@host")
    assert redactor.text("it is Pa55word!")[1] == 1


@pytest.mark.parametrize("value", ["attention", "123456789", "12.5", "/home/ada/key.json", "abc", ""])
def test_common_words_numbers_and_paths_are_not_looked_for_elsewhere(value):
    redactor = Redactor()
    redactor.value("token", value)
    redactor.value("password", "password")
    text = f"x {value} y password z"
    assert redactor.text(text) == (text, 0)


def test_a_plain_word_is_taken_out_as_a_word_only():
    redactor = Redactor()
    redactor.value("password", PLAIN)
    assert redactor.text("a swordfish, swordfishes")[0] == f"a {REDACTED}, swordfishes"


def test_what_stands_beside_a_secret_is_not_looked_for_elsewhere():
    redactor = Redactor()
    redactor.value("credentials", {"user": "ada.lovelace", "region": "eu-west-1", "p": "Pa55word-1"})
    redactor.value("session_id", "ses-01_mouse-7")
    redactor.value("token", "word_3")
    assert redactor.text("ada.lovelace eu-west-1 ses-01_mouse-7 word_3 Pa55word-1")[0] == (
        f"ada.lovelace eu-west-1 ses-01_mouse-7 word_3 {REDACTED}"
    )


def test_names_of_the_project_count_in_text_as_well():
    assert Redactor(("plate",)).text("plate=B-XY-1234 lr=3")[0] == f"plate={REDACTED} lr=3"


def test_places_in_a_command_line():
    argv = ["/usr/bin/mysql", "-uroot", f"-p{WORD}", "--ssl-key=k.pem", "db", "--password", WORD, "--lr", "0.1"]
    made, places = Redactor().argv(argv)
    assert made == [
        "/usr/bin/mysql",
        "-uroot",
        f"-p{REDACTED}",
        f"--ssl-key={REDACTED}",
        "db",
        "--password",
        REDACTED,
        "--lr",
        "0.1",
    ]
    assert places == ["[2]", "[3]", "[6]"]
    assert Redactor().secrets_in(argv) >= {WORD}
    assert secret_commands.hidden(["train.py", "-p0.5", "-u", "a:b"], secret_names.is_secret) == []


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("https://u:p/q@host/x", "https://host/x"),
        ("https://host/x?token=abc", "https://host/x"),
        ("https://host:8080/@x", "https://host:8080/@x"),
        ("https://host/ghp_" + "a1B2" * 9 + "/x", f"https://host/{REDACTED}/x"),
    ],
)
def test_urls_lose_query_and_odd_passwords(url, clean):
    assert strip_url(url) == clean


def test_a_private_key_with_hyphens_inside_goes_whole():
    key = "-----BEGIN PRIVATE KEY-----\nab-cd\n-ef\n-----END PRIVATE KEY-----"
    assert Redactor().text(f"x {key} y") == (f"x {REDACTED} y", 1)


@pytest.mark.parametrize(
    "text",
    [
        "https://b.s3.amazonaws.com/k?X-Amz-Expires=9&X-Amz-Signature=" + "0123456789abcdef" * 4,
        "https://storage.googleapis.com/b/k?X-Goog-Signature=" + "0123456789abcdef" * 16,
        "Basic " + "YWRhOmh1bnRlcjI=",
        "_ghp_" + "a1B2" * 9,
        "\\nghp_" + "a1B2" * 9,
        "\x1b[32mghp_" + "a1B2" * 9,
        "x%3Dghp_" + "a1B2" * 9,
    ],
)
def test_formats_after_what_is_no_word(text):
    made, count = Redactor().text(text)
    assert count
    assert text[-12:] not in made


@given(st.text(max_size=60), st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=6, max_size=20))
def test_a_value_under_a_secret_name_never_stays_in_json(before, secret):
    """Whatever the secret holds: quotes, brackets, backslashes, other scripts."""
    text = f"{json.dumps({'a': before})} {json.dumps({'password': f'7q{secret}9z'})}"
    made = Redactor().text(text)[0]
    assert json.dumps(f"7q{secret}9z")[1:-1] not in made


@given(st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=6, max_size=20))
def test_a_value_under_a_secret_name_never_stays_in_a_repr(secret):
    made = Redactor().text(repr({"lr": 3, "password": f"7q{secret}9z", "n": 1}))[0]
    assert made == f"{{'lr': 3, 'password': {made[22]}{REDACTED}{made[22]}, 'n': 1}}"


@given(
    st.lists(
        st.sampled_from(
            [
                "password",
                "=",
                ":",
                "'",
                '"',
                "(",
                "]",
                "{",
                "\\",
                "\n",
                " ",
                "x1",
                ",",
                "|",
                "--",
                "-p",
                "curl",
                "\t",
                "<",
            ]
        )
    )
)
def test_odd_text_is_no_error_and_is_clean_after_one_pass(parts):
    text = "".join(parts)
    redactor = Redactor()
    made, count = redactor.text(text)
    assert (made == text) == (count == 0) or REDACTED in made
    stream = redactor.stream()
    for part in parts:
        stream.feed(part.encode())
    stream.close()


@given(st.text("ab\\'\" ,{}", max_size=12), st.integers(1, 3))
def test_json_inside_json_loses_its_secret_and_nothing_after_it(secret, levels):
    text = {"password": f"7q{secret}9z", "n": 1}
    for _ in range(levels):
        text = json.dumps(text)
    made = Redactor().text(text)[0]
    for _ in range(levels):
        made = json.loads(made)
    assert made == {"password": REDACTED, "n": 1}


def test_hostile_text_takes_no_forever():
    code = r"""
from reprokit.model.redact import Redactor
r = Redactor()
for s in ("password='", "password=[", "password=(", "password: x\n", "passwords:\n", "password,", "| password ", "password=a1b2 ",
          "('password', ", "<password>", "basic aaaaaaaa", "curl -u ", "password\\", "password=x;", "password=f(", "api key ",
          "\n  password", "user password\n", "%22password", "pass word is ", "mysql -p ", "password = {{", "bearer ", "'password' "):
    text = (s * 1_000_000)[:200_000]
    r.text(text + " token")
    stream = r.stream()
    stream.feed(text.encode())
    stream.close()
print("done")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=True)
    assert done.stdout == "done\n"
