"""Escapes and forbidden things as sources, with what the gate must say about each.

Taken from published escapes of Python sandboxes (attribute chains to the interpreter, frames, format strings,
look-alike characters) and from what torch offers beyond tensors.
"""

from __future__ import annotations

from typing import Final

HEAD: Final = "import torch\nimport torch.nn.functional as F\nimport math\n"
LINE_AT_TOP: Final = 4
LINE_INSIDE: Final = 6


def inside(code: str) -> str:
    """A credit function with this code in its body, from line 6 on."""
    body = "".join(f"    {line}\n" for line in code.split("\n"))
    return f"{HEAD}def credit(state):\n    x = state['x']\n{body}    return x\n"


def at_top(code: str) -> str:
    """A module with this code above the function, from line 4 on."""
    return f"{HEAD}{code}\ndef credit(state):\n    x = state['x']\n    return x\n"


FORBIDDEN_INSIDE: Final = (
    ("import subprocess", "importing `subprocess` is forbidden"),
    ("[__import__(n) for n in ('os',)]", "`__import__` is forbidden"),
    ("__import__('os').system('id')", "`system` is forbidden"),
    ("eval('1')", "`eval` is forbidden"),
    ("exec('import os')", "`exec` is forbidden"),
    ("compile('1', 'f', 'eval')", "`compile` is forbidden"),
    ("open('/etc/passwd').read()", "`open` is forbidden"),
    ("input()", "`input` is forbidden"),
    ("breakpoint()", "`breakpoint` is forbidden"),
    ("globals()['x'] = 1", "`globals` is forbidden"),
    ("locals()", "`locals` is forbidden"),
    ("vars(torch)", "`vars` is forbidden"),
    ("dir(torch)", "`dir` is forbidden"),
    ("getattr(torch, 'load')('f')", "`getattr` is forbidden"),
    ("setattr(torch, 'add', None)", "`setattr` is forbidden"),
    ("delattr(torch, 'add')", "`delattr` is forbidden"),
    ("memoryview(b'')", "`memoryview` is forbidden"),
    ("e = eval\ne('1')", "`eval` is forbidden"),
    ("exit(0)", "`exit` is forbidden"),
    ("().__class__.__base__.__subclasses__()", "`__class__.__base__.__subclasses__` is forbidden"),
    ("x.__class__", "`x.__class__` is forbidden"),
    ("x.mro()", "`x.mro` is forbidden"),
    ("x.__reduce_ex__(2)", "`x.__reduce_ex__` is forbidden"),
    ("credit.__globals__", "`credit.__globals__` is forbidden"),
    ("credit.__code__ = None", "`credit.__code__` is forbidden"),
    ("credit.__closure__", "`credit.__closure__` is forbidden"),
    ("__builtins__", "`__builtins__` is forbidden"),
    ("torch.__builtins__['eval']", "`torch.__builtins__` is forbidden"),
    ("math.__loader__.load_module('os')", "`math.__loader__.load_module` is forbidden"),
    ("math.__spec__", "`math.__spec__` is forbidden"),
    ("torch.__dict__['load']", "`torch.__dict__` is forbidden"),
    ("torch.__getattribute__('load')", "`torch.__getattribute__` is forbidden"),
    ("(i for i in (1,)).gi_frame.f_back.f_globals", "`gi_frame.f_back.f_globals` is forbidden"),
    ("(i for i in (1,)).gi_code", "`gi_code` is forbidden"),
    ("x.tb_frame", "`x.tb_frame` is forbidden"),
    ("'{0.__class__}'.format(x)", "a string names an internal attribute (`__`)"),
    ("'{x}'.format_map(state)", "`format_map` is forbidden"),
    ("f'{x.__class__}'", "`x.__class__` is forbidden"),
    ("n = '__class__'", "a string names an internal attribute (`__`)"),
    ("state['__class__']", "a string names an internal attribute (`__`)"),
    ("torch.sum(x, __class__=1)", "`__class__` is forbidden"),
    ("__y = x", "`__y` is forbidden"),
    ("x.\\\n__class__", "`x.__class__` is forbidden"),
    ("y = 1; import os", "importing `os` is forbidden"),
    ("y: open('f') = 1", "`open` is forbidden"),
    ("f = lambda a=open: a", "`open` is forbidden"),
    ("with open('f') as f: pass", "`open` is forbidden"),
    ("assert eval('1')", "`eval` is forbidden"),
    ("torch.load('f')", "`torch.load` is forbidden"),
    ("torch.save(x, 'f')", "`torch.save` is forbidden"),
    ("torch.hub.load('a', 'b')", "`torch.hub.load` is forbidden"),
    ("torch.ops.aten.add(x, x)", "`torch.ops.aten.add` is forbidden"),
    ("torch.ops.load_library('f')", "`torch.ops.load_library` is forbidden"),
    ("torch.classes.load_library('f')", "`torch.classes.load_library` is forbidden"),
    ("torch._C._jit_get_all_schemas()", "`torch._C._jit_get_all_schemas` is forbidden"),
    ("torch.utils.cpp_extension.load_inline('a', '')", "`torch.utils.cpp_extension.load_inline` is forbidden"),
    ("torch.package.PackageImporter('f')", "`torch.package.PackageImporter` is forbidden"),
    ("torch.distributed.init_process_group()", "`torch.distributed.init_process_group` is forbidden"),
    ("torch.os.system('id')", "`torch.os.system` is forbidden"),
    ("torch.sys.modules['os']", "`torch.sys.modules` is forbidden"),
    ("torch.serialization.load('f')", "`torch.serialization.load` is forbidden"),
    ("torch.multiprocessing.spawn(credit)", "`torch.multiprocessing.spawn` is forbidden"),
    ("torch.from_file('f')", "`torch.from_file` is forbidden"),
    ("torch.frombuffer(b'', dtype=torch.float)", "`torch.frombuffer` is forbidden"),
    ("torch.from_dlpack(x)", "`torch.from_dlpack` is forbidden"),
    ("torch.jit.load('f')", "`torch.jit.load` is forbidden"),
    ("torch.library.custom_op('a::b')", "`torch.library.custom_op` is forbidden"),
    ("torch.autograd.Function.apply(x)", "`torch.autograd.Function.apply` is forbidden"),
    ("torch.nn.modules.module.Module()", "`torch.nn.modules.module.Module` is forbidden"),
    ("torch.fx.symbolic_trace(credit)", "`torch.fx.symbolic_trace` is forbidden"),
    ("torch.export.load('f')", "`torch.export.load` is forbidden"),
    ("torch.cuda.memory.caching_allocator_alloc(1)", "`torch.cuda.memory.caching_allocator_alloc` is forbidden"),
    ("torch.UntypedStorage(1)", "`torch.UntypedStorage` is forbidden"),
    ("F._Reduction", "`F._Reduction` is forbidden"),
    ("F.torch.load('f')", "`F.torch.load` is forbidden"),
    ("F.importlib", "`F.importlib` is forbidden"),
    ("math._x", "`math._x` is forbidden"),
    ("x.storage()", "`x.storage` is forbidden"),
    ("x.untyped_storage().resize_(10)", "`x.untyped_storage` is forbidden"),
    ("x.data_ptr()", "`x.data_ptr` is forbidden"),
    ("x.set_(x)", "`x.set_` is forbidden"),
    ("x.share_memory_()", "`x.share_memory_` is forbidden"),
    ("x.register_hook(print)", "`x.register_hook` is forbidden"),
    ("x.apply_(credit)", "`x.apply_` is forbidden"),
    ("x.map_(x, credit)", "`x.map_` is forbidden"),
    ("x.tofile('f')", "`x.tofile` is forbidden"),
    ("x.numpy().tofile('f')", "`tofile` is forbidden"),
    ("x.numpy().ctypes", "`ctypes` is forbidden"),
    ("x.__torch_function__", "`x.__torch_function__` is forbidden"),
    ("x.__getitem__(0)", "`x.__getitem__` is forbidden"),
    ("torch.Tensor.__module__", "`torch.Tensor.__module__` is forbidden"),
    ("torch.sum(*(x,), **{'__class__': 1})", "a string names an internal attribute (`__`)"),
    ("sorted([x], key=eval)", "`eval` is forbidden"),
    ("list(map(eval, ['1']))", "`eval` is forbidden"),
    ("state.get('__class__')", "a string names an internal attribute (`__`)"),
    ("state.pop('x').__class__", "`__class__` is forbidden"),
)
"""Code in the body of the function, and what the gate calls forbidden."""

UNSUPPORTED_INSIDE: Final = (
    ("\uff45\uff56\uff41\uff4c('1')", "a character outside ASCII stands in the code"),
    ("\U0001d452val('1')", "a character outside ASCII stands in the code"),
    ("x.\uff3f\uff3fclass\uff3f\uff3f", "a character outside ASCII stands in the code"),
    ("torch.o\u017f", "a character outside ASCII stands in the code"),
    ("y = 1  # \u202e }x", "the text holds the invisible character U+202E"),
    ("y\u200b = 1", "the text holds the invisible character U+200B"),
    ("y = 1\x00", "the text holds the invisible character U+0000"),
    ("y = 1\x0cimport os", "the text holds the invisible character U+000C"),
    ("y = 1  # \x1b[2J", "the text holds the invisible character U+001B"),
    ("class A: pass", "a class is not supported"),
    ("(y := x)", "`:=` is not supported"),
    ("yield x", "`yield` is not supported"),
    ("global torch", "`global` is not supported"),
    ("nonlocal q", "`nonlocal` is not supported"),
    ("del torch", "`del` is not supported"),
    ("match x:\n    case torch.Tensor(data=d): pass", "`match` is not supported"),
    ("raise ValueError", "`raise` is not supported"),
    ("torch = 1", "`torch` is given a new value"),
    ("len = 1", "`len` is given a new value"),
    ("for F in (1,): pass", "`F` is given a new value"),
    ("[torch for torch in (1,)]", "the module `torch` is used as a value"),
    ("torch.add = torch.sub", "setting the attribute `torch.add` is not supported"),
    ("x.data = x", "setting the attribute `x.data` is not supported"),
    ("del torch.add", "`del` is not supported"),
    ("x.grad += 1", "setting the attribute `x.grad` is not supported"),
    ("for torch.add in (1,): pass", "setting the attribute `torch.add` is not supported"),
    ("torch.compile(credit)", "`torch.compile` is not available"),
    ("torch.nn.init.torch", "`torch.nn.init.torch` is not available"),
    ("x.as_strided((9,), (1,))", "`x.as_strided` is not available"),
    ("x.data", "`x.data` is not available"),
    ("x.grad_fn.next_functions", "`x.grad_fn.next_functions` is not available"),
    ("x.requires_grad_()", "`x.requires_grad_` is not available"),
    ("x.backward()", "`x.backward` is not available"),
    ("torch.manual_seed(0)", "`torch.manual_seed` is not available"),
    ("'o'.join(['s'])", "`join` is not available"),
    ("'x'.encode()", "`encode` is not available"),
    ("b'abc'", "a bytes literal is not supported"),
    ("type(x)", "`type` is not available"),
    ("type('A', (), {})", "`type` is not available"),
    ("super()", "`super` is not available"),
    ("object()", "`object` is not available"),
    ("hasattr(x, 'y')", "`hasattr` is not available"),
    ("print(x)", "`print` is not available"),
)
"""Code in the body that ordinary programs hold too: refused, and worth a retry."""

FORBIDDEN_AT_TOP: Final = (
    ("import os", "importing `os` is forbidden"),
    ("import os as torch", "importing `os` is forbidden"),
    ("from os import system", "importing `os.system` is forbidden"),
    ("import torch.hub", "importing `torch.hub` is forbidden"),
    ("import _posixsubprocess", "importing `_posixsubprocess` is forbidden"),
    ("from torch import ops", "importing `torch.ops` is forbidden"),
    ("from torch.utils import cpp_extension", "importing `torch.utils.cpp_extension` is forbidden"),
    ("import ctypes", "importing `ctypes` is forbidden"),
    ("def __getattr__(n):\n    return n", "`__getattr__` is forbidden"),
    ("class A(metaclass=eval):\n    pass", "`eval` is forbidden"),
    ("def f(a: eval('1')): pass", "`eval` is forbidden"),
)
"""Code above the function."""

UNSUPPORTED_AT_TOP: Final = (
    ("from torch import *", "importing `torch.*` is not supported"),
    ("import torch as os", "importing `torch` is not supported"),
    ("from . import secrets", "importing `..secrets` is not supported"),
    ("__all__ = 1", "`__all__` is not supported"),
    ("async def f(): pass", "`async` is not supported"),
    ("async def f():\n    await f()", "`async` is not supported"),
    ("def len(a):\n    return a", "`len` is given a new value"),
    ("print('x')", "code runs at module level"),
    ("for i in range(3): pass", "code runs at module level"),
    ("from typing import get_type_hints", "importing `typing.get_type_hints` is not supported"),
    ("from __future__ import barry_as_FLUFL", "importing `__future__.barry_as_FLUFL` is not supported"),
    ("import codecs", "importing `codecs` is not supported"),
    ("import numpy as np", "importing `numpy` is not supported"),
)
"""Code above the function that ordinary programs hold too."""

WHOLE: Final = (
    ("def credit(state, e=eval):\n    return state['x']\n", "forbidden", 4, "`eval` is forbidden"),
    ("def credit(state, __x=1):\n    return state['x']\n", "forbidden", 4, "`__x` is forbidden"),
    ("@eval\ndef credit(state):\n    return state['x']\n", "forbidden", 4, "`eval` is forbidden"),
    ("@(lambda f: f)\ndef credit(state):\n    return state['x']\n", "unsupported", 4, "a decorator is not supported"),
    ("def credit(s: print('x')):\n    return s['x']\n", "unsupported", 4, "this annotation is not supported"),
    ("def credit(s) -> __import__('os'):\n    return s['x']\n", "forbidden", 4, "`__import__` is forbidden"),
    ("def credit(s, y=torch.load('f')):\n    return s['x']\n", "forbidden", 4, "`torch.load` is forbidden"),
    ("def credit(s, y=torch.ones(2)):\n    return s['x']\n", "unsupported", 4, "a default value must be a literal"),
    ("def credit(s, torch=1):\n    return s['x']\n", "unsupported", 4, "`torch` is given a new value"),
    ("class A:\n    import os\n", "forbidden", 5, "importing `os` is forbidden"),
    (
        "def credit(s):\n    try:\n        return s\n    except Exception as e:\n        return e.__traceback__\n",
        "forbidden",
        8,
        "`e.__traceback__` is forbidden",
    ),
    (
        "def credit(s):\n    return s['x']\nif __name__ == '__main__':\n    credit({})\n",
        "unsupported",
        6,
        "code runs at module level",
    ),
)
"""Code below the imports: source, kind, line, what."""
