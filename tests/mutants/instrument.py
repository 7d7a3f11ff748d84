"""Writes changes of cargo-mutants into a file beside what they change, each behind a number."""

import json
import re

import tree_sitter
import tree_sitter_rust

VARIABLE = "CHANGED_PLACE"
# File to which a program adds the numbers of the places that it reaches.
REACHED = "CHANGED_PLACES_REACHED"
PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_rust.language()))
# Lints about code that a change makes senseless.
ALLOWED = "#![allow(warnings, arithmetic_overflow, unconditional_panic)]\n"
# Reads the number of the change that is in force.
SWITCH = f"""
fn changed_place(number: u32) -> bool {{
    static CHOSEN: ::std::sync::LazyLock<Option<u32>> =
        ::std::sync::LazyLock::new(|| ::std::env::var("{VARIABLE}").ok()?.parse().ok());
    static REACHED: ::std::sync::LazyLock<Option<(::std::fs::File, ::std::sync::Mutex<::std::collections::HashSet<u32>>)>> =
        ::std::sync::LazyLock::new(|| {{
            let path = ::std::env::var_os("{REACHED}")?;
            let file = ::std::fs::OpenOptions::new().append(true).create(true).open(path).ok()?;
            Some((file, ::std::default::Default::default()))
        }});
    if let Some((file, seen)) = &*REACHED {{
        if seen.lock().unwrap().insert(number) {{
            let _ = ::std::io::Write::write_all(&mut &*file, ::std::format!("{{number}}\\n").as_bytes());
        }}
    }}
    *CHOSEN == Some(number)
}}
"""


class Change:
    """One change of cargo-mutants."""

    def __init__(self, found, number, source):
        self.number, self.file = number, found["file"]
        self.genre, self.replacement = found["genre"], found["replacement"]
        self.name = re.sub(r"^([^:]+):\d+:\d+: ", r"\1: ", found["name"])
        lines = source.split("\n")
        starts = [0]
        for line in lines:
            starts.append(starts[-1] + len(line.encode()) + 1)

        def offset(place):
            line = lines[place["line"] - 1]
            return starts[place["line"] - 1] + len(line[: place["column"] - 1].encode())

        self.start, self.end = offset(found["span"]["start"]), offset(found["span"]["end"])


def named_once(changes):
    """Numbers changes of the same name, in the order of the file."""
    seen = {}
    for change in changes:
        seen[change.name] = seen.get(change.name, 0) + 1
        if seen[change.name] > 1:
            change.name += f" ({seen[change.name]})"
    return changes


def node_at(tree, start, end):
    return tree.root_node.descendant_for_byte_range(start, end)


def enclosing(node, kinds):
    while node and node.type not in kinds:
        node = node.parent
    return node


class Wrapped:
    """An expression with the changes that replace it."""

    def __init__(self, start, end):
        self.start, self.end, self.options = start, end, []


def placed(change, tree, source):
    """Returns (start, end, text): with the change, the text stands in place of the bytes from start to end. An empty
    range is a place for a statement. None where the change has no such form."""
    text = lambda start, end: source[start:end].decode()
    if change.genre == "FnValue":
        return change.start, change.start, change.replacement
    if change.genre == "MatchArmGuard":
        return change.start, change.end, change.replacement
    node = node_at(tree, change.start, change.end)
    if change.genre == "BinaryOperator":
        whole = enclosing(node, {"binary_expression", "compound_assignment_expr"})
        if not whole:
            return None
        start, end = whole.start_byte, whole.end_byte
        return start, end, text(start, change.start) + change.replacement + text(change.end, end)
    if change.genre == "UnaryOperator":
        whole = enclosing(node, {"unary_expression"})
        if not whole:
            return None
        start, end = whole.start_byte, whole.end_byte
        return start, end, text(start, change.start) + change.replacement + text(change.end, end)
    if change.genre == "MatchArm":
        arm = enclosing(node, {"match_arm"})
        pattern = arm and arm.child_by_field_name("pattern")
        return pattern and (pattern.start_byte, pattern.end_byte, None)
    return None


def instrumented(source, changes):
    """Returns the file with all the changes, and the changes that have no place in it."""
    tree, without = PARSER.parse(source), []
    wrapped, insertions = {}, []
    for change in changes:
        found = placed(change, tree, source)
        if not found:
            without.append(change)
            continue
        start, end, text = found
        if change.genre == "MatchArm":
            pattern = node_at(tree, start, end)
            pattern = enclosing(pattern, {"match_pattern"}) or pattern
            condition = pattern.child_by_field_name("condition")
            if condition:
                whole = wrapped.setdefault((condition.start_byte, condition.end_byte), Wrapped(condition.start_byte, condition.end_byte))
                whole.options.append((change.number, "false"))
            else:
                insertions.append((end, end, f" if !changed_place({change.number})"))
        elif start == end:
            insertions.append((start, start, f"if changed_place({change.number}) {{ return {text}; }}\n"))
        else:
            wrapped.setdefault((start, end), Wrapped(start, end)).options.append((change.number, text))

    def rendered(start, end, inside):
        """The text between two places, with what is to be changed inside."""
        result, at = b"", start
        todo = sorted(inside, key=lambda one: (one[0], -one[1]))
        while todo:
            first = todo.pop(0)
            if isinstance(first[2], str):
                result += source[at : first[0]] + first[2].encode()
                at = first[0]
                continue
            nested = [one for one in todo if one[1] <= first[1]]
            todo = [one for one in todo if one[1] > first[1]]
            result += source[at : first[0]] + b"("
            for number, text in first[2].options:
                result += f"if changed_place({number}) {{ {text} }} else ".encode()
            result += b"{ " + rendered(first[0], first[1], nested) + b" })"
            at = first[1]
        return result + source[at:end]

    inside = insertions + [(one.start, one.end, one) for one in wrapped.values()]
    return ALLOWED.encode() + rendered(0, len(source), inside) + SWITCH.encode(), without


def number_of(node):
    """Returns the number of the change that this `if` switches, or None."""
    if node.type != "if_expression":
        return None
    found = re.fullmatch(rb"changed_place\((\d+)\)", node.child_by_field_name("condition").text)
    return int(found[1]) if found else None


def chain_of(node):
    """Returns the numbers of the changes among which this `if` and its `else`s choose."""
    numbers = set()
    while (number := number_of(node)) is not None:
        numbers.add(number)
        behind = node.child_by_field_name("alternative")
        if not behind or not behind.named_children:
            break
        node = behind.named_children[0]
    return numbers


def blamed(node, start, end, source):
    """Returns the numbers of the changes to which an error at this place is due."""
    if arms := enclosing(node, {"match_expression"}):
        # The compiler shows the value for which a pattern is missing.
        value = arms.child_by_field_name("value")
        if value.start_byte == start and value.end_byte == end:
            return {int(number) for number in re.findall(rb"if !changed_place\((\d+)\)", arms.text)}
    inner, above = node, node.parent
    while above:
        number = number_of(above)
        if number is not None:
            consequence = above.child_by_field_name("consequence")
            if consequence == inner:
                return {number}
            while above.parent and above.parent.type == "else_clause" and number_of(above.parent.parent) is not None:
                above = above.parent.parent
            return chain_of(above)
        inner, above = above, above.parent
    within = {int(number) for number in re.findall(rb"changed_place\((\d+)\)", source[start:end])}
    if within:
        return within
    before = re.findall(rb"changed_place\((\d+)\)", source[:end])
    return {int(before[-1])} if before else set()


def refused(output, files, root):
    """Returns the numbers of the changes in these files that the compiler's errors are about."""
    numbers, trees = set(), {}
    for line in output.splitlines():
        message = json.loads(line).get("message") if line.startswith("{") else None
        if not isinstance(message, dict) or message.get("level") != "error":
            continue
        for span in message["spans"]:
            path = span["file_name"]
            if path not in files or not span["is_primary"]:
                continue
            if path not in trees:
                source = (root / path).read_bytes()
                trees[path] = source, PARSER.parse(source)
            source, tree = trees[path]
            start, end = span["byte_start"], span["byte_end"]
            numbers |= blamed(node_at(tree, start, end), start, end, source)
    return numbers
