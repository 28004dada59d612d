"""Cases that write files, start programs and threads, and load code; most leave a file behind when they succeed."""

from __future__ import annotations

from typing import Final

from tests.sandbox.firing.case import Case, Changes, Leaves, at_top, inside

_MARK: Final = "'{folder}/mark'"

WRITING: Final = (
    Case("file by open for writing", inside(f"open({_MARK}, 'w').close()"), Leaves()),
    Case("file by a system call", inside(f"import os\nos.open({_MARK}, os.O_CREAT | os.O_WRONLY)"), Leaves()),
    Case("file by torch.save", inside(f"torch.save(x, {_MARK})"), Leaves()),
    Case("file by a functional's module", inside(f"F.torch.save(x, {_MARK})"), Leaves()),
    Case("file as a shared tensor", inside(f"torch.from_file({_MARK}, shared=True, size=4)"), Leaves()),
    Case("file from an array", inside(f"x.detach().numpy().tofile({_MARK})"), Leaves()),
    Case("file from a memory map of numpy", inside(f"import numpy\nnumpy.memmap({_MARK}, shape=4, mode='w+')"),
         Leaves()),
    Case("file from a log", inside(f"import logging\nlogging.FileHandler({_MARK})"), Leaves()),
    Case("file from a database", inside(f"import sqlite3\nsqlite3.connect({_MARK}).execute('create table t (a)')"),
         Leaves()),
    Case("file from a compiled script", inside(f"torch.jit.ScriptModule().save({_MARK})"), Leaves()),
    Case("file from a profile", inside(f"import cProfile\ncProfile.Profile().dump_stats({_MARK})"), Leaves()),
    Case("file from print", inside(f"print('x', file=open({_MARK}, 'w'), flush=True)"), Leaves()),
    Case("folder", inside(f"import os\nos.mkdir({_MARK})"), Leaves()),
    Case("link", inside(f"import os\nos.symlink('/etc', {_MARK})"), Leaves()),
    Case("pipe", inside(f"import os\nos.mkfifo({_MARK})"), Leaves()),
    Case("secret removed", inside("import os\nos.remove('{folder}/secret.txt')"), Leaves()),
    Case("secret renamed", inside("import os\nos.rename('{folder}/secret.txt', '{folder}/other.txt')"), Leaves()),
    Case("secret emptied", inside("import os\nos.truncate('{folder}/secret.txt', 0)"), Leaves()),
    Case("secret opened to all", inside("import os\nos.chmod('{folder}/secret.txt', 0o666)"), Leaves()),
    Case("folder removed", inside("import shutil\nshutil.rmtree('{folder}/tools')"), Leaves()),
)  # fmt: skip
"""The caller's files."""

_TOUCH: Final = "'touch {folder}/mark'"

PROGRAMS: Final = (
    Case("program by os.system", inside(f"import os\nos.system({_TOUCH})"), Leaves()),
    Case("program by subprocess", inside("import subprocess\nsubprocess.run(['touch', '{folder}/mark'])"), Leaves()),
    Case("program by posix_spawn",
         inside("import os\nos.posix_spawnp('touch', ['touch', '{folder}/mark'], {})\nos.wait()"), Leaves()),
    Case("program in place of this one", inside("import os\nos.execvp('touch', ['touch', '{folder}/mark'])"),
         Leaves()),
    Case("program through an attribute of torch", inside(f"torch.os.system({_TOUCH})"), Leaves()),
    Case("program through a search for ninja",
         inside("import os\nfrom torch.utils import cpp_extension\n"
                "os.environ['PATH'] = '{folder}/tools:/usr/bin:/bin'\n"
                "cpp_extension.is_ninja_available()"),
         Leaves()),
    Case("fork that outlives its parent",
         inside("import os, time\nif os.fork() == 0:\n    os.setsid()\n"
                "    if os.fork() == 0:\n        time.sleep(0.05)\n"
                f"        open({_MARK}, 'w').close()\n    os._exit(0)"),
         Leaves()),
    Case("process of multiprocessing",
         inside("import multiprocessing\ncontext = multiprocessing.get_context('fork')\n"
                f"p = context.Process(target=open, args=({_MARK}, 'w'))\np.start()\np.join()"),
         Leaves()),
    Case("process of torch.multiprocessing",
         at_top(f"def work(rank):\n    open({_MARK}, 'w').close()\n\n"
                "torch.multiprocessing.start_processes(work, nprocs=1, start_method='fork')"),
         Leaves()),
    Case("workers of a data loader",
         inside("from torch.utils.data import DataLoader\n"
                f"work = lambda number: open({_MARK}, 'w').close()\n"
                "list(DataLoader([1, 2], num_workers=1, worker_init_fn=work))"),
         Leaves()),
    Case("pool of processes",
         inside("from concurrent.futures import ThreadPoolExecutor\n"
                f"ThreadPoolExecutor(1).submit(open, {_MARK}, 'w').result()"),
         Leaves()),
    Case("thread that stays",
         inside("import threading, time\nthreading.Thread(target=time.sleep, args=(1000,), daemon=True).start()"),
         Changes("threads")),
    Case("timer", inside(f"import threading\nt = threading.Timer(0, open, ({_MARK}, 'w'))\nt.start()\nt.join()"),
         Leaves()),
    Case("terminal with a program", inside("import pty\npty.spawn(['touch', '{folder}/mark'])"), Leaves()),
)  # fmt: skip
"""Processes and threads."""

LOADING: Final = (
    Case("pickle of torch", inside("torch.load('{folder}/payload.pt', weights_only=False)"), Leaves()),
    Case("pickle from a file", inside("import pickle\npickle.load(open('{folder}/payload.pkl', 'rb'))"), Leaves()),
    Case("pickle in the source",
         inside("import pickle\npickle.loads(b\"cos\\nsystem\\n(S'touch {folder}/mark'\\ntR.\")"), Leaves()),
    Case("pickle of numpy", inside("import numpy\nnumpy.load('{folder}/payload.npy', allow_pickle=True)"), Leaves()),
    Case("YAML with a call",
         inside("import yaml\nyaml.unsafe_load('!!python/object/apply:os.system [\"touch {folder}/mark\"]')"),
         Leaves()),
    Case("package of torch",
         inside("torch.package.PackageImporter('{folder}/package.pt').import_module('trap')"), Leaves()),
    Case("hub of torch", inside("torch.hub.load('{folder}', 'model', source='local')"), Leaves()),
    Case("module from the caller's folder",
         inside("import sys\nsys.path.insert(0, '{folder}')\nimport trap"), Leaves()),
    Case("module by its path",
         inside("import importlib.util as u\ns = u.spec_from_file_location('t', '{folder}/trap.py')\n"
                "s.loader.exec_module(u.module_from_spec(s))"),
         Leaves()),
    Case("program by its path", inside("import runpy\nrunpy.run_path('{folder}/trap.py')"), Leaves()),
    Case("code by marshal",
         inside(f"import marshal\nexec(marshal.loads(marshal.dumps(compile(\"open({_MARK}, 'w')\", 'f', 'exec'))))"),
         Leaves()),
    Case("library of operations", inside("torch.ops.load_library('{folder}/library.so')"), Changes("libraries")),
    Case("library of classes", inside("torch.classes.load_library('{folder}/library.so')"), Changes("libraries")),
    Case("library by ctypes", inside("import ctypes\nctypes.CDLL('{folder}/library.so')"), Changes("libraries")),
    Case("C library by ctypes", inside("import ctypes\nctypes.CDLL(None).system(b'touch {folder}/mark')"), Leaves()),
    Case("compiler of C++",
         inside("from torch.utils import cpp_extension\nimport os\nos.environ['CXX'] = '{folder}/tools/ninja'\n"
                "cpp_extension.get_compiler_abi_compatibility_and_version('{folder}/tools/ninja')"),
         Leaves()),
)  # fmt: skip
"""Code from elsewhere."""

CASES: Final = (*WRITING, *PROGRAMS, *LOADING)
