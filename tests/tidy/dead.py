"""Files that nothing uses: sources in no target, headers that nobody includes, scripts that nobody names."""
import re

import arrows

# Started by people or by CMake itself, or read by nothing but people.
ENTRY = re.compile(r"^(?:\.ci/run|tests/run\.sh|firmware-examples/demo\.sh|tests/bench/run\.sh|CMakeLists\.txt"
                   r"|cmake/presets/[^/]+\.cmake|sdk/include/leat/leat\.h|tests/fresh_root\.sh)$"
                   r"|(?:^|/)CMakeLists\.txt$|(?:^|/)golden/.*\.py$")  # what once made golden bytes stands beside them


def check(tree):
    lists = {path: text for path, text in tree.texts((".txt", ".cmake"))}
    included = set()
    for path, text in tree.sources():
        for match in arrows.INCLUDE.finditer(text):
            target = arrows.resolve(path, match.group(2), tree.files)
            if target and target != path:
                included.add(target)

    def built(path):
        """Some list file names it, by its name alone (in its own folder or above) or by its path."""
        name = path.rsplit("/", 1)[-1]
        stem = name.rsplit(".", 1)[0]
        for listing, text in lists.items():
            folder = listing.rsplit("/", 1)[0] + "/" if "/" in listing else ""
            if re.search(r"(?<![\w./-])" + re.escape(path[len(folder):]) + r"(?![\w.-])", text) and path.startswith(folder):
                return True
            if re.search(r"[\w}]/" + re.escape(name) + r"(?![\w.-])", text):
                return True
            # leat_fuzz(NAME x) stands for x_fuzz.cpp; a foreach writes a part of the name.
            if path.startswith(folder) and stem.endswith("_fuzz") and re.search(r"leat_fuzz\(NAME " + stem[:-5] + r"\b", text):
                return True
            for pattern in re.findall(r"[\w/.-]*\$\{\w+\}[\w${}]*\.(?:cpp|c|S)\b", text):
                tail = re.escape(pattern.rsplit("/", 1)[-1])
                if path.startswith(folder) and re.fullmatch(re.sub(r"\\\$\\\{\w+\\\}", r"\\w+", tail), name):
                    return True
        return False

    for path, _ in tree.texts((".cpp", ".c", ".s", ".S", ".ld")):
        if not built(path):
            yield path, 1, "is in no CMake target: build it or remove it"
    for path, _ in tree.texts((".hpp", ".h")):
        if path not in included and not ENTRY.search(path) and not built(path):
            yield path, 1, "nobody includes it: use it or remove it"
    mentions = [(path, text) for path, text in tree.texts((".txt", ".cmake", ".sh", ".py", ".md", ".cpp", ".hpp", ".c", ""))]
    for path in sorted(tree.files):
        if not path.endswith((".py", ".sh", ".cmake")) or ENTRY.search(path):
            continue
        name = path.rsplit("/", 1)[-1]
        module = name[:-3] if name.endswith(".py") else None
        for other, text in mentions:
            if other == path:
                continue
            if name in text or (module and re.search(r"\b(?:import|from) +(?:\w+, *)*" + module + r"\b", text)) \
                    or (name.endswith(".cmake") and re.search(r"include\(\s*" + re.escape(name[:-6]) + r"\s*\)", text)):
                break
        else:
            yield path, 1, "nobody names it: use it or remove it"
