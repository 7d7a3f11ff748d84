//! A catalogue of attacks by name: each is ended by the limit that it runs into, costs no more CPU
//! time than that limit and a small bound, and leaves nothing behind in the worker.

use super::DriverErrorKind as Kind;
use super::hostile::assert_bounded;
use super::*;

/// Ended politely by the interpreter, or by the kernel.
const CPU: &[Kind] = &[Kind::CpuTime];
/// Limits of which any may be reached first.
const RESOURCES: &[Kind] = &[Kind::CpuTime, Kind::Memory, Kind::Stack, Kind::Exception];
const DEEP: &[Kind] = &[
    Kind::Stack,
    Kind::Memory,
    Kind::CpuTime,
    Kind::Exception,
    Kind::BadResult,
];
const HARMLESS: &[Kind] = &[];

/// Name, the body of `decode`, and the errors that it may end in (none: it must work).
const ATTACKS: [(&str, &str, &[Kind]); 64] = [
    // Native loops, which never ask whether to stop.
    (
        "join of a sparse array",
        "new Array(1e9).join('x')",
        RESOURCES,
    ),
    (
        "sparse reverse",
        "const a = [1]; a.length = 4e9; a.reverse()",
        RESOURCES,
    ),
    (
        "sparse copyWithin",
        "Array.prototype.copyWithin.call({ length: 2 ** 53 - 1 }, 0, 1)",
        RESOURCES,
    ),
    (
        "sparse sort",
        "const a = []; a.length = 4e9; a.sort()",
        RESOURCES,
    ),
    (
        "sparse includes",
        "Array.prototype.includes.call({ length: 2 ** 53 - 1 }, 1)",
        RESOURCES,
    ),
    (
        "sparse splice",
        "const a = [1]; a.length = 4e9; a.splice(1, 1)",
        RESOURCES,
    ),
    (
        "sparse concat",
        "const a = []; a.length = 4e9; [].concat(a, a)",
        RESOURCES,
    ),
    (
        "sparse toSorted",
        "Array.prototype.toSorted.call({ length: 2 ** 32 - 1 })",
        RESOURCES,
    ),
    (
        "unshift of what is not there",
        "Array.prototype.unshift.call({ length: 2 ** 52 }, 1)",
        RESOURCES,
    ),
    (
        "flat of a sparse array",
        "const a = []; a.length = 4e9; a.flat()",
        RESOURCES,
    ),
    (
        "replaceAll again and again",
        "const s = 'a'.repeat(1 << 20); for (;;) s.replaceAll('a', 'bb')",
        RESOURCES,
    ),
    (
        "normalize again and again",
        "const s = '\\u1E9B\\u0323'.repeat(1 << 19); for (;;) s.normalize('NFKD')",
        RESOURCES,
    ),
    (
        "padEnd to a gigabyte",
        "return { a: 'x'.padEnd(1e9, 'ab') }",
        RESOURCES,
    ),
    (
        "repeat to a gigabyte",
        "return { a: 'ab'.repeat(5e8) }",
        RESOURCES,
    ),
    (
        "indexOf in what never fits",
        "const s = 'a'.repeat(1 << 20); for (;;) s.indexOf('a'.repeat(1 << 19) + 'b')",
        RESOURCES,
    ),
    (
        "a split into millions",
        "const s = 'a'.repeat(1 << 21); for (;;) s.split('')",
        RESOURCES,
    ),
    (
        "a power of a BigInt",
        "return { a: String(7n ** 3000000n) }",
        RESOURCES,
    ),
    (
        "a shift of a BigInt",
        "let n = 1n; for (;;) n = n << 100000n",
        RESOURCES,
    ),
    (
        "a BigInt of a million digits",
        "return { a: typeof BigInt('9'.repeat(1e6)) }",
        RESOURCES,
    ),
    (
        "a date of a huge text",
        "const s = '2026-01-01 '.repeat(1e5); for (;;) Date.parse(s)",
        CPU,
    ),
    (
        "a number of a huge text",
        "const s = '1'.repeat(1 << 22); for (;;) Number(s)",
        RESOURCES,
    ),
    (
        "sort by a hostile comparator",
        "const a = Array.from({ length: 1e4 }, (_, i) => i); for (;;) a.sort(() => Math.random() - 0.5)",
        CPU,
    ),
    (
        "a comparator that shrinks its array",
        "const a = Array.from({ length: 1e4 }, (_, i) => i); for (;;) a.sort(() => { a.length = 0; a.push(1, 2, 3); return 1 })",
        RESOURCES,
    ),
    // Regular expressions.
    (
        "catastrophic backtracking",
        "/^(a|aa)+$/.test('a'.repeat(60) + 'b')",
        CPU,
    ),
    (
        "nested quantifiers",
        "/(((x+)*)*)*y/.test('x'.repeat(64))",
        RESOURCES,
    ),
    (
        "backtracking in a replacement",
        "'a'.repeat(50).replace(/(a*)*b/g, '')",
        CPU,
    ),
    (
        "look-behind that backtracks",
        "/(?<=(a+)+)c/.test('a'.repeat(1 << 16) + 'b')",
        RESOURCES,
    ),
    (
        "a bomb for the compiler of patterns",
        "new RegExp('(?:a{0,255}){0,255}'.repeat(50) + 'b').test('a'.repeat(1e4))",
        RESOURCES,
    ),
    (
        "a pattern of a hundred thousand groups",
        "new RegExp('(a)'.repeat(1e5)).exec('a'.repeat(1e5))",
        RESOURCES,
    ),
    // Code that runs while the host reads.
    (
        "a getter that loops",
        "return { get a() { for (;;) {} } }",
        CPU,
    ),
    (
        "toJSON that loops",
        "return { a: { toJSON() { for (;;) {} } } }",
        CPU,
    ),
    (
        "Symbol.toPrimitive that loops",
        "return { a: `${{ [Symbol.toPrimitive]() { for (;;) {} } }}` }",
        CPU,
    ),
    (
        "a proxy whose every trap loops",
        "const loop = () => { for (;;) {} }; return new Proxy({}, new Proxy({}, { get: () => loop }))",
        CPU,
    ),
    (
        "a proxy of endless keys",
        "return new Proxy({}, { ownKeys: () => Array.from({ length: 1e6 }, (_, i) => 'k' + i), getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true, value: 1 }) })",
        &[Kind::CpuTime, Kind::Memory, Kind::Output],
    ),
    (
        "an error whose message loops",
        "throw { __proto__: Error.prototype, get message() { for (;;) {} } }",
        &[Kind::CpuTime, Kind::Exception],
    ),
    (
        "an error whose stack loops",
        "const e = new Error('x'); Object.defineProperty(e, 'stack', { get() { for (;;) {} } }); throw e",
        &[Kind::CpuTime, Kind::Exception],
    ),
    ("throwing null", "throw null", &[Kind::Exception]),
    // Control flow that would not let go.
    (
        "finally that starts over",
        "for (;;) { try { throw 1 } catch { continue } finally { continue } }",
        CPU,
    ),
    (
        "labels round and round",
        "outer: for (;;) { inner: for (;;) { try { break inner } finally { continue outer } } }",
        CPU,
    ),
    (
        "a generator without an end",
        "function* g() { for (;;) { try { yield } finally { yield* g() } } } for (const _ of g()) {}",
        RESOURCES,
    ),
    (
        "recursion by way of await",
        "const f = async () => { await f() }; await_(f()); function await_(p) { return p } return f()",
        &[
            Kind::Stack,
            Kind::PendingJobs,
            Kind::CpuTime,
            Kind::Exception,
            Kind::Memory,
            Kind::BadResult,
        ],
    ),
    (
        "a bomb of promise jobs",
        "const f = () => { Promise.resolve().then(f); Promise.resolve().then(f) }; f(); return new Promise(() => {})",
        &[Kind::PendingJobs, Kind::Memory, Kind::CpuTime],
    ),
    ("eval for ever", "for (;;) eval('var x = 1')", CPU),
    (
        "functions from text for ever",
        "for (;;) Function('return 1')()",
        &[Kind::CpuTime, Kind::Memory],
    ),
    (
        "with and an endless proxy",
        "with (new Proxy({}, { has: () => true, get(t, k) { return k === Symbol.unscopables ? undefined : () => { for (;;) {} } } })) { anything() }",
        CPU,
    ),
    // Scripts that take all memory.
    (
        "a typed array of gigabytes",
        "return { a: new Float64Array(2 ** 31).length }",
        &[Kind::Memory, Kind::Exception],
    ),
    (
        "a buffer that grows",
        "const b = new ArrayBuffer(8, { maxByteLength: 2 ** 32 }); b.resize(2 ** 32)",
        &[Kind::Memory, Kind::Exception],
    ),
    (
        "shared memory of gigabytes",
        "new SharedArrayBuffer(2 ** 32)",
        &[Kind::Memory, Kind::Exception],
    ),
    (
        "a text that doubles",
        "let s = 'x'; for (;;) s += s + 'y'",
        RESOURCES,
    ),
    (
        "a result of 50 MB",
        "return { a: 'x'.repeat(50 << 20) }",
        &[Kind::Memory, Kind::Output, Kind::CpuTime],
    ),
    (
        "a wide result",
        "return { a: new Array(50000).fill('12345') }",
        &[Kind::Output, Kind::CpuTime],
    ),
    // Scripts that nest without end.
    (
        "JSON of a hundred thousand brackets",
        "JSON.parse('['.repeat(1e5))",
        DEEP,
    ),
    (
        "stringify of a deep object",
        "let a = {}; for (let i = 0; i < 50000; i++) a = { a }; return { a: JSON.stringify(a).length }",
        DEEP,
    ),
    (
        "flat of a deep array",
        "let a = []; for (let i = 0; i < 50000; i++) a = [a]; a.flat(Infinity)",
        DEEP,
    ),
    (
        "text of a deep array",
        "let a = []; for (let i = 0; i < 50000; i++) a = [a]; return { a: String(a) }",
        DEEP,
    ),
    (
        "a chain of bound functions",
        "let f = () => 1; for (let i = 0; i < 20000; i++) f = f.bind(null); f()",
        RESOURCES,
    ),
    (
        "a chain of prototypes",
        "let o = {}; for (let i = 0; i < 1e5; i++) o = Object.create(o); for (;;) o.missing",
        RESOURCES,
    ),
    (
        "a result in a circle",
        "const a = { b: {} }; a.b.c = a; return a",
        &[Kind::BadResult],
    ),
    // Scripts that leave something for the next call, which must not notice.
    (
        "waiting for another thread",
        "Atomics.wait(new Int32Array(new SharedArrayBuffer(8)), 0, 0)",
        &[Kind::Exception],
    ),
    (
        "a registry of last words",
        "const r = new FinalizationRegistry(() => { for (;;) {} }); for (let i = 0; i < 1000; i++) r.register({}, i); globalThis.weak = new WeakRef({}); return {}",
        HARMLESS,
    ),
    (
        "a poisoned Object.prototype",
        "Object.prototype.sum = 'poison'; Object.prototype.port = 'poison'; Array.prototype[0] = 'poison'; return {}",
        HARMLESS,
    ),
    (
        "overwritten globals",
        "for (const k of Object.getOwnPropertyNames(globalThis)) { try { globalThis[k] = null } catch {} } return {}",
        HARMLESS,
    ),
    (
        "frozen prototypes",
        "for (const c of [Object, Array, String, Number, Function, Promise]) Object.freeze(c.prototype); Object.freeze(globalThis); return {}",
        HARMLESS,
    ),
    (
        "an array that lies about its elements",
        "Object.defineProperty(Array.prototype, '0', { set() { throw 'set' }, get() { throw 'get' } }); return { a: [1] }",
        &[Kind::Exception],
    ),
];

#[tokio::test]
async fn every_attack_is_ended_by_a_limit_and_leaves_nothing_behind() {
    let limits = one_worker();
    let host = host(limits.clone()).await;
    let clean = data(&host, &body(TRACES)).await;
    for (name, statements, kinds) in ATTACKS {
        match decode(&host, &body(statements)).await {
            Ok(decoded) => assert!(kinds.is_empty(), "{name}: {decoded:?}"),
            Err(error) => {
                assert!(kinds.contains(&error.kind), "{name}: {error:?}");
                assert_bounded(&limits, &error, name);
            }
        }
        assert_still_works(&host, name).await;
        assert_eq!(data(&host, &body(TRACES)).await, clean, "traces of: {name}");
    }
}

/// Collects everything that a call can see: every name, and whether the usual objects are as usual.
const TRACES: &str = "
    const names = (o) => Reflect.ownKeys(o).map(String).join();
    return {
        global: names(globalThis),
        object: names(Object.prototype),
        array: names(Array.prototype),
        promise: names(Promise.prototype),
        frozen: Object.isFrozen(Object.prototype),
        json: JSON.stringify([1, { a: null }]),
        date: typeof Date.now(),
    }";
