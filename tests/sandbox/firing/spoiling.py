"""Cases that leave the process otherwise than the next candidate in it expects: each candidate needs its own."""

from __future__ import annotations

from typing import Final

from tests.sandbox.firing.case import HEAD, Case, Changes, at_top, inside


def _case(name: str, code: str, mark: str) -> Case:
    return Case(name, inside(code), Changes(mark))


CASES: Final = (
    _case("operation of torch replaced", "torch.add = torch.sub", "torch.add"),
    _case("operation replaced by a loop's target", "for torch.add in (torch.sub,):\n    pass", "torch.add"),
    _case("operation replaced by setattr", "setattr(torch, 'add', torch.sub)", "torch.add"),
    _case("operation deleted", "del torch.add", "torch.add"),
    _case("activation replaced", "F.softmax = lambda a, dim: a", "softmax"),
    _case("sum of tensors replaced", "torch.Tensor.__add__ = torch.Tensor.__sub__", "sum"),
    _case("kernel replaced", "global LIBRARY\nLIBRARY = torch.library.Library('aten', 'IMPL')\n"
          "LIBRARY.impl('add.Tensor', lambda a, b, alpha=1: a - b, 'CPU')", "sum"),
    _case("operation registered", "torch.library.define('evil::double', '(Tensor x) -> Tensor')", "operations"),
    _case("default dtype", "torch.set_default_dtype(torch.float64)", "dtype"),
    _case("default tensor type", "torch.set_default_tensor_type(torch.DoubleTensor)", "dtype"),
    _case("seed", "torch.manual_seed(0)", "random numbers"),
    _case("random numbers taken", "torch.rand(1)", "random numbers"),
    _case("gradients switched off", "torch.set_grad_enabled(False)", "gradients"),
    _case("gradients switched off for good", "torch.no_grad().__enter__()", "gradients"),
    _case("anomaly detection", "torch.autograd.set_detect_anomaly(True)", "anomaly"),
    _case("mode over all functions",
          "class M(torch.overrides.TorchFunctionMode):\n"
          "    def __torch_function__(self, f, types, args=(), kwargs=None):\n"
          "        return f(*args, **(kwargs or {})) if f is not torch.add else args[0]\n\nM().__enter__()",
          "torch.add"),
    _case("hook on what gradients keep",
          "torch.autograd.graph.saved_tensors_hooks(lambda a: a, lambda a: a * 0).__enter__()", "saved tensors"),
    _case("hook on all modules", "torch.nn.modules.module.register_module_forward_hook(lambda *a: None)",
          "module hooks"),
    _case("constant of math", "math.pi = 3", "constants"),
    _case("function of math", "math.exp = lambda a: 0.0", "constants"),
    _case("constant of torch", "torch.pi = 3.0", "constants"),
    _case("builtin replaced", "import builtins\nbuiltins.len = lambda a: 1", "builtins"),
    _case("builtin replaced in the dictionary", "vars(__builtins__)['sum'] = max", "builtins"),
    _case("module taken away", "import sys\nsys.modules['torch.nn.functional'] = None", "modules"),
    _case("importer put in front", "import sys\nsys.meta_path.insert(0, torch)", "importers"),
    _case("limit of recursion", "import sys\nsys.setrecursionlimit(10**6)", "recursion"),
    _case("tracer", "import sys\nsys.setprofile(lambda *a: None)", "tracer"),
    _case("audit hook", "import sys\nsys.addaudithook(lambda e, a: a[0].append(1) if e == 'evil.heard' else None)",
          "audit"),
    _case("signals ignored", "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)", "signals"),
    _case("environment written", "import os\nos.environ['PYTHONPATH'] = '{folder}'", "environment"),
    _case("folder changed", "import os\nos.chdir('/')", "place"),
    _case("collector switched off", "import gc\ngc.disable()", "collector"),
    _case("callback of the collector", "import gc\ngc.callbacks.append(lambda *a: None)", "collector"),
    _case("warnings silenced", "import warnings\nwarnings.filterwarnings('ignore', 'evil')", "warnings"),
    _case("limit of descriptors", "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (220, 220))", "files"),
    Case("module of the grader replaced",
         at_top("import sys\nsys.modules['torch.nn.functional'] = torch"), Changes("modules")),
    Case("result that is equal to anything",
         HEAD + "class Equal:\n    def __eq__(self, other):\n        return True\n\n"
         "def credit(state):\n    return Equal()\n",
         Changes("equal to anything")),
    Case("tensor that is equal to anything",
         HEAD + "class Equal(torch.Tensor):\n    def __eq__(self, other):\n        return True\n\n"
         "def credit(state):\n    return state['x'].as_subclass(Equal)\n",
         Changes("equal to anything")),
)  # fmt: skip
