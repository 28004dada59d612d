"""Cases that go round the gate's names: published escapes from Python sandboxes, and what the syntax offers."""

from __future__ import annotations

from typing import Final

from tests.sandbox.firing.canaries import VARIABLE
from tests.sandbox.firing.case import HEAD, Case, Leaks, Leaves, at_top, inside

_TOUCH: Final = "'touch {folder}/mark'"
_SYSTEM: Final = f"__import__('os').system({_TOUCH})"

PUBLISHED: Final = (
    Case("smolagents CVE-2025-5120: a module's own import",
         inside(f"import random\nrandom._os.system({_TOUCH})"), Leaves()),
    Case("smolagents CVE-2025-5120: through an allowed module",
         inside(f"torch.random.warnings.sys.modules['os'].system({_TOUCH})"),
         Leaves()),
    Case("smolagents CVE-2025-9959: dunder attributes from an object",
         inside("for c in ().__class__.__base__.__subclasses__():\n    if c.__name__ == '_wrap_close':\n"
                f"        c.__init__.__globals__['system']({_TOUCH})"),
         Leaves()),
    Case("RestrictedPython CVE-2023-37271: frame of a generator",
         inside("def walk():\n    frame = g.gi_frame.f_back\n    while frame.f_back:\n        frame = frame.f_back\n"
                "    yield frame.f_globals['held']\n\ng = walk()\nraise ValueError(list(g))"),
         Leaks("memory")),
    Case("RestrictedPython CVE-2023-41039: format reaches attributes",
         inside("raise ValueError('{0.__globals__[os].environ}'.format(torch.compile))"), Leaks("environment")),
    Case("RestrictedPython CVE-2023-41039: format_map",
         inside("raise ValueError('{a.__globals__[os].environ}'.format_map({'a': torch.compile}))"),
         Leaks("environment")),
    Case("RestrictedPython CVE-2024-47532: string.Formatter",
         inside("import string\nf, _ = string.Formatter().get_field('a.__globals__[os]', (), {'a': torch.compile})\n"
                f"f.system({_TOUCH})"),
         Leaves()),
    Case("RestrictedPython CVE-2025-22153: except*",
         inside("try:\n    x.none\nexcept* AttributeError as group:\n"
                "    raise ValueError(group.exceptions[0].__traceback__.tb_frame.f_back.f_globals['held'])"),
         Leaks("memory")),
    Case("n8n CVE-2025-68668: the C library behind the interpreter",
         inside("import ctypes\nctypes.pythonapi.PyRun_SimpleString(b\"open('{folder}/mark', 'w').close()\")"),
         Leaves()),
)  # fmt: skip
"""What broke others."""

NAMES: Final = (
    Case("import as a call", inside(_SYSTEM), Leaves()),
    Case("import in a comprehension", inside(f"[__import__(n).system({_TOUCH}) for n in ('os',)]"), Leaves()),
    Case("import of everything", at_top(f"from os import *\nsystem({_TOUCH})"), Leaves()),
    Case("import of os from torch", at_top(f"from torch.serialization import os\nos.system({_TOUCH})"), Leaves()),
    Case("import of os under an allowed name",
         HEAD + f"import os as math\ndef credit(state):\n    math.system({_TOUCH})\n"
         "    return state['x']\n", Leaves()),
    Case("eval", inside(f'eval("{_SYSTEM}")'), Leaves()),
    Case("eval under another name", inside(f'e = eval\ne("{_SYSTEM}")'), Leaves()),
    Case("eval as a key of sorting", inside(f'sorted(["{_SYSTEM}"], key=eval)'), Leaves()),
    Case("exec", inside(f'exec("{_SYSTEM}")'), Leaves()),
    Case("compile and a function type",
         inside(f'code = compile("{_SYSTEM}", "f", "eval")\nlambda_type = type(lambda: 0)\nlambda_type(code, {{}})()'),
         Leaves()),
    Case("mathematical letters", inside(f'\U0001d452val("{_SYSTEM}")'), Leaves()),
    Case("full-width underscores",
         inside(f"torch._\uff3fdict\uff3f_['o' + 's'].system({_TOUCH})"), Leaves()),
    Case("getattr with a put-together name", inside(f"getattr(torch, 'o' + 's').system({_TOUCH})"), Leaves()),
    Case("vars", inside(f"vars(torch)['o' + 's'].system({_TOUCH})"), Leaves()),
    Case("globals", inside(f"globals()['__builtins__'].__import__('os').system({_TOUCH})"), Leaves()),
    Case("globals of a function", inside(f"F.relu.__globals__['torch'].os.system({_TOUCH})"), Leaves()),
    Case("dictionary of a module", inside(f"torch.__dict__['os'].system({_TOUCH})"), Leaves()),
    Case("attribute that is asked by a method", inside(f"torch.__getattribute__('os').system({_TOUCH})"), Leaves()),
    Case("loader of a module",
         inside("load = torch.__spec__.loader.load_module\n"
                f"load.__globals__['sys'].modules['os'].system({_TOUCH})"),
         Leaves()),
    Case("builtins of a module", inside(f"torch.__builtins__['eval'](\"{_SYSTEM}\")"), Leaves()),
    Case("method resolution order",
         inside("base = int.mro()[-1]\nfor c in type.__subclasses__(base):\n    if c.__name__ == '_wrap_close':\n"
                f"        c.close.__globals__['system']({_TOUCH})"),
         Leaves()),
    Case("operator.attrgetter", inside(f"import operator\noperator.attrgetter('os.system')(torch)({_TOUCH})"),
         Leaves()),
    Case("weak reference to a frame's names",
         inside("import sys\nraise ValueError(sys._current_frames()[list(sys._current_frames())[0]].f_back.f_globals"
                ".get('held') or sys.modules['__main__'].held)"), Leaks("memory")),
)  # fmt: skip
"""Names and how to reach them."""

SYNTAX: Final = (
    Case("decorators as calls",
         HEAD + f"@eval\n@(lambda f: \"{_SYSTEM}\")\ndef helper():\n    pass\n\n"
         "def credit(state):\n    return state['x']\n",
         Leaves()),
    Case("default value", HEAD + f"def credit(state, e={_SYSTEM}):\n    return state['x']\n", Leaves()),
    Case("default value of a lambda", inside("f = lambda a=open('{folder}/mark', 'w'): a"), Leaves()),
    Case("annotation", HEAD + f"def credit(state: {_SYSTEM}):\n    return state['x']\n", Leaves()),
    Case("annotation of a variable at module level", at_top(f"y: {_SYSTEM} = 1"), Leaves()),
    Case("subscript of a class", at_top(f'class A:\n    __class_getitem__ = eval\n\nA["{_SYSTEM}"]'), Leaves()),
    Case("metaclass", at_top(f'class A(metaclass=lambda *a: eval("{_SYSTEM}")):\n    pass\n'), Leaves()),
    Case("subclass hook",
         at_top("class A:\n    def __init_subclass__(cls, run):\n        eval(run)\n\n"
                f'class B(A, run="{_SYSTEM}"):\n    pass\n'),
         Leaves()),
    Case("pattern that reads attributes",
         inside(f"match torch:\n    case object(os=o):\n        o.system({_TOUCH})"), Leaves()),
    Case("pattern that reads the class",
         inside("match x:\n    case object(__class__=c):\n        c.__init__.__class__\n"
                f"        c.register_hook.__globals__['torch'].os.system({_TOUCH})"),
         Leaves()),
    Case("index of an object of its own",
         at_top("class Two:\n    def __index__(self):\n        open('{folder}/mark', 'w')\n        return 1\n\n"
                "torch.ones(3)[Two()]"),
         Leaves()),
    Case("iteration of an object of its own",
         at_top(f"class Pair:\n    def __iter__(self):\n        {_SYSTEM}\n"
                "        return iter((1, 2))\n\na, b = Pair()"),
         Leaves()),
    Case("finaliser", at_top(f"class Late:\n    def __del__(self):\n        {_SYSTEM}\n\nLate()"), Leaves()),
    Case("context manager",
         at_top(f"class C:\n    def __enter__(self):\n        {_SYSTEM}\n    def __exit__(self, *a):\n"
                                   "        pass\n\nwith C():\n    pass\n"), Leaves()),
    Case("coroutine's frame",
         at_top("async def f():\n    pass\n\nc = f()\nroot = c.cr_frame.f_globals['__builtins__']\nc.close()\n"
                f"root.__import__('os').system({_TOUCH})"),
         Leaves()),
    Case("f-string that calls", inside('y = f"{__import__(\'os\').system(\'touch {folder}/mark\')}"'), Leaves()),
    Case("assertion that calls", inside(f"assert {_SYSTEM} == 0"), Leaves()),
    Case("walrus", inside(f"(o := __import__('os')).system({_TOUCH})"), Leaves()),
    Case("subclass of a tensor",
         at_top("class T(torch.Tensor):\n    @classmethod\n"
                "    def __torch_function__(cls, f, types, args=(), kwargs=None):\n"
                f"        {_SYSTEM}\n        return super().__torch_function__(f, types, args, kwargs or {{}})\n\n"
                "torch.ones(2).as_subclass(T) + 1"),
         Leaves()),
    Case("gradient of its own",
         HEAD + "class G(torch.autograd.Function):\n    @staticmethod\n"
         "    def forward(ctx, a):\n        return a.clone()\n"
         f"    @staticmethod\n    def backward(ctx, g):\n        {_SYSTEM}\n        return g\n\n"
         "def credit(state):\n    return G.apply(state['x'])\n",
         Leaves()),
    Case("hook on a gradient",
         inside("y = x * 1.0\nif y.requires_grad:\n    y.register_hook(lambda g: open('{folder}/mark', 'w').close())\n"
                "return y"), Leaves()),
    Case("environment through a class of a tensor",
         inside("name = x.__class__.__mro__[1].__module__\n"
                f"raise ValueError(name and torch.sys.modules['os'].environ['{VARIABLE}'])"),
         Leaks("environment")),
)  # fmt: skip
"""What the syntax calls behind one's back."""

CASES: Final = (*PUBLISHED, *NAMES, *SYNTAX)
