"""Where the engine spends its time, by samples: what `perf script` tells, added up by symbol and by library."""
import os
import re
import subprocess
from collections import Counter

# Frames that work for whoever calls them.
HELPERS = {"std", "libc", "kernel"}
STD = {"std", "core", "alloc", "hashbrown", "std_detect", "compiler_builtins", "__rustc"}
# What begins the names of libraries in C that are linked into the program.
PREFIXES = {"sqlite3": "SQLite", "ZSTD_": "zstd", "HUF_": "zstd", "FSE_": "zstd", "aws_lc_": "aws-lc", "ring_": "ring"}
FILES = {"sqlite3.c": "SQLite"}
FRAME = re.compile(r"^\s+[0-9a-f]+ (.*) \((.*)\)$")
# A name begins with a crate, or with a type and perhaps its trait: `<&mut engine_core::Row as core::fmt::Debug>::fmt`.
CRATE = re.compile(r"^[<&*\s(\[]*(?:(?:mut|const|dyn) )*([A-Za-z_][A-Za-z0-9_]*)(?:\[[0-9a-f]+\])?::")
HASH = re.compile(r"::h[0-9a-f]{16}$|\[[0-9a-f]{8,16}\]")
NAME_MAX = 100


def files_of(program):
    """Names of the functions of single files in C, by the symbol table: (function, file)."""
    said = subprocess.run(["readelf", "-sW", program], capture_output=True, text=True, check=True).stdout
    file, found = "", {}
    for line in said.splitlines():
        parts = line.split()
        if len(parts) < 8:
            continue
        if parts[3] == "FILE":
            file = parts[7]
        elif parts[3] == "FUNC" and parts[4] == "LOCAL" and file.endswith(".c"):
            found[parts[7]] = file
    return found


def library(symbol, module, files):
    """The crate or library that a frame belongs to."""
    if module.startswith("[") and module != "[unknown]":
        return "kernel"
    if ".so" in module:
        name = re.split(r"[-.]", os.path.basename(module))[0]
        return "libc" if name in ("libc", "libm", "ld", "libgcc_s") else name
    crates = [match[1] for part in symbol.split(" as ", 1) if (match := CRATE.match(part))]
    if crates:
        return next((crate for crate in crates if crate not in STD), "std")
    for prefix, name in PREFIXES.items():
        if symbol.startswith(prefix):
            return name
    file = files.get(symbol)
    return FILES.get(file, file.removesuffix(".c")) if file else "others"


def tidy(symbol):
    """A name without hash and offset, and not too long to be read."""
    symbol = HASH.sub("", re.sub(r"\+0x[0-9a-f]+$", "", symbol)).replace(";", ":")
    return symbol if len(symbol) <= NAME_MAX else symbol[: NAME_MAX - 1] + "…"


class Profile:
    def __init__(self, program):
        self.files = files_of(program)
        self.stacks, self.symbols, self.own, self.charged = Counter(), Counter(), Counter(), Counter()
        self.samples = 0

    def add(self, recording):
        """Adds what `perf record` has written."""
        command = ["perf", "script", "-F", "comm,tid,event,ip,sym,dso", "--no-inline", "-i", recording]
        said = subprocess.run(command, capture_output=True, text=True, check=True, errors="replace").stdout
        for block in said.split("\n\n"):
            head, *lines = block.strip("\n").splitlines() or [""]
            frames = [(match[1], match[2]) for line in lines if (match := FRAME.match(line))]
            if frames:
                self.count(head.split()[0], frames)

    def count(self, command, frames):
        names = [tidy(symbol) for symbol, _ in frames]
        libraries = [library(symbol, module, self.files) for symbol, module in frames]
        self.samples += 1
        self.stacks[";".join([command, *reversed(names)])] += 1
        self.symbols[names[0], libraries[0]] += 1
        self.own[libraries[0]] += 1
        self.charged[next((name for name in libraries if name not in HELPERS), libraries[0])] += 1

    def share(self, count):
        return f"{count / self.samples:.1%}".replace("%", " %")

    def tables(self, symbols, libraries):
        lines = ["| self | with what it calls of std, libc and kernel | library |", "| --: | --: | --- |"]
        for name, _ in (self.own | self.charged).most_common(libraries):
            lines.append(f"| {self.share(self.own[name])} | {self.share(self.charged[name])} | {name} |")
        lines += ["", "| self | library | function |", "| --: | --- | --- |"]
        for (name, of), count in self.symbols.most_common(symbols):
            told = name.replace("|", "\\|")
            lines.append(f"| {self.share(count)} | {of} | `{told}` |")
        return "\n".join(lines)

    def folded(self):
        return "".join(f"{stack} {count}\n" for stack, count in sorted(self.stacks.items()))
