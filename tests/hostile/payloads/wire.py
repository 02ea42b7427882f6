"""Attack the protocol: the worker's end of the socket sends what the grader does not expect.

Each frame is sent as the reply to a real request. "fault" payloads name the rule that must refuse them: that message
is the proof that the frame got as far as the rule, and no further.
"""

from hostile.attempt import Payload

WIRE = '''
import msgpack, select
end = socket.socket(fileno=os.dup(3))

def put(data):
    while data:
        select.select([], [end], [], 5)
        data = data[end.send(data[:1 << 16]):]

def number():
    """The sequence number of the request that is being answered."""
    frame = sys._getframe()
    while frame:
        if "sequence" in frame.f_locals:
            return frame.f_locals["sequence"]
        frame = frame.f_back

def header(body, specs=()):
    packed = msgpack.packb([body, list(specs)])
    return struct.pack(">BI", 0, len(packed)) + packed

def reply(value, specs=(), raw=b"", graph=None, ahead=0):
    put(header(["l", number() + ahead, "ok", ["l", value, graph]], specs) + raw)
    time.sleep(60)
'''


def wire(name: str, attempt: str, body: str, says: str, **more: object) -> Payload:
    lines = "".join(f"    {line}\n" for line in body.strip().splitlines())
    text = f"{WIRE}\ndef attack(t):\n{lines}"
    return Payload(name, attempt, text, 1, proof="fault", says=says, control="none", **more)  # type: ignore[arg-type]


TENSOR = '["T", 0, "float32", [3], None, "cpu", False]'
BROKE = "broke the protocol"

PAYLOADS = [
    wire(
        "huge_header",
        "claim a header of 4 GB",
        'put(struct.pack(">BI", 0, 0xFFFFFFFF)); time.sleep(60)',
        "header length",
    ),
    wire("empty_header", "claim an empty header", 'put(struct.pack(">BI", 0, 0)); time.sleep(60)', "header length"),
    wire(
        "unknown_kind",
        "send a frame of no known kind",
        'put(struct.pack(">BI", 77, 10) + bytes(10)); time.sleep(60)',
        "frame kind",
    ),
    wire(
        "malformed",
        "send bytes that are not msgpack",
        'put(struct.pack(">BI", 0, 4) + bytes([0xC1] * 4)); time.sleep(60)',
        BROKE,
    ),
    wire(
        "deep_nesting",
        "nest 100,000 lists",
        'data = bytes([0x91]) * 100000 + bytes([0xC0])\nput(struct.pack(">BI", 0, len(data)) + data); time.sleep(60)',
        BROKE,
    ),
    wire(
        "tagged_nesting",
        "nest 200 tagged lists",
        "value = 1\nfor _ in range(200):\n    value = ['l', value]\nreply(value)",
        "deep|protocol",
    ),
    wire(
        "array_bomb",
        "claim a list of 4 billion items",
        'data = bytes([0xDD, 0xFF, 0xFF, 0xFF, 0xFF, 1])\nput(struct.pack(">BI", 0, len(data)) + data); time.sleep(60)',
        BROKE,
    ),
    wire("million_nodes", "send a value of a million parts", "reply(['l'] + [None] * 1000000)", BROKE),
    wire(
        "extension",
        "send a pickle as an extension type",
        "reply(msgpack.ExtType(42, __import__('pickle').dumps(os.getcwd)))",
        BROKE,
    ),
    wire("timestamp", "send a timestamp", "reply(msgpack.Timestamp(1, 1))", BROKE),
    wire(
        "bad_utf8",
        "send strings that are not UTF-8",
        'data = msgpack.packb([["l", number(), "ok", "@@@@"], []])'
        '.replace(b"@@@@", bytes([0xFF, 0xFE, 0xED, 0xA0]))\nput(struct.pack(">BI", 0, len(data)) + data); '
        "time.sleep(60)",
        BROKE,
    ),
    wire("untagged", "send a value without a tag", "reply([1, 2, 3])", "untagged"),
    wire("unknown_tag", "send a value with an unknown tag", "reply(['pickle', b'x'])", "tag"),
    wire("odd_dict", "send a dictionary with half a pair", "reply(['d', 'key'])", "odd dict"),
    wire("unhashable_key", "send a dictionary with a list as key", "reply(['d', ['l', 1], 2])", "dict key"),
    wire(
        "equal_hashes",
        "send a dictionary whose keys are 40,000 numbers of one hash",
        "keys = [['x', 'int', hex(k * ((1 << 61) - 1))] for k in range(40000)]\n"
        "reply(['d', *[part for key in keys for part in (key, None)]])",
        "dict key|parts",
    ),
    wire("tuple_key", "send a dictionary with a tuple as key", "reply(['d', ['t', 1, 2], 2])", "dict key"),
    wire(
        "one_buffer_twice",
        "make two tensors of one buffer",
        f"reply(['l', {TENSOR}, {TENSOR}], [['float32', 12]], bytes(12))",
        "buffer index",
    ),
    wire(
        "stride_of_nothing",
        "claim 400 MB by a stride of 0",
        "reply(['T', 0, 'float32', [100000000], [0], 'cpu', False], [['float32', 4]], bytes(4))",
        "strides",
    ),
    wire(
        "array_strides",
        "claim an array of 400 MB by a stride of 0",
        "reply(['A', 0, '<f4', [100000000], [0], 0, True], [['bytes', 4]], bytes(4))",
        "strides",
    ),
    wire("maps", "send two million empty maps", "reply(['l'] + [{}] * 2000000)", "map"),
    wire("empty_lists", "send two million empty lists", "reply(['l'] + [[]] * 2000000)", "parts"),
    wire(
        "huge_tensor",
        "claim a tensor of 2^62 elements",
        "reply(['T', 0, 'float32', [1 << 31, 1 << 31], None, 'cpu', False], [['float32', 12]], bytes(12))",
        BROKE,
    ),
    wire("huge_buffer", "claim a buffer of 2^60 bytes", f"reply({TENSOR}, [['float32', 1 << 60]])", BROKE),
    wire("negative_buffer", "claim a buffer of -1 bytes", f"reply({TENSOR}, [['float32', -1]])", BROKE),
    wire("many_buffers", "claim a million buffers", f"reply({TENSOR}, [['float32', 0]] * 1000000)", BROKE),
    wire(
        "negative_shape",
        "send a negative dimension",
        "reply(['T', 0, 'float32', [-3], None, 'cpu', False], [['float32', 12]], bytes(12))",
        "shape",
    ),
    wire(
        "float_shape",
        "send a dimension that is a float, and one that is true",
        "reply(['T', 0, 'float32', [3.0, True], None, 'cpu', False], [['float32', 12]], bytes(12))",
        "shape",
    ),
    wire(
        "many_dimensions",
        "send a tensor of 5,000 dimensions",
        "reply(['T', 0, 'float32', [1] * 5000, None, 'cpu', False], [['float32', 4]], bytes(4))",
        "shape",
    ),
    wire(
        "bad_dtype",
        "send a dtype that does not exist",
        "reply(['T', 0, 'object', [3], None, 'cpu', False], [['object', 12]], bytes(12))",
        BROKE,
    ),
    wire(
        "numpy_objects",
        "send a numpy array of objects",
        "reply(['A', 0, '|O8', [1], None, 0, True], [['bytes', 8]], bytes(8))",
        "array",
    ),
    wire(
        "numpy_outside",
        "let a numpy array reach outside its buffer",
        "reply(['A', 0, '<f4', [3], [4096], 0, True], [['bytes', 12]], bytes(12))",
        BROKE,
    ),
    wire(
        "numpy_before",
        "let a numpy array begin before its buffer",
        "reply(['A', 0, '<f4', [3], [-4], 0, True], [['bytes', 12]], bytes(12))",
        BROKE,
    ),
    wire(
        "negative_stride",
        "send a negative stride",
        "reply(['T', 0, 'float32', [3], [-1], 'cpu', False], [['float32', 12]], bytes(12))",
        "strides",
    ),
    wire(
        "wide_stride",
        "let strides reach outside the buffer",
        "reply(['T', 0, 'float32', [3], [1 << 20], 'cpu', False], [['float32', 12]], bytes(12))",
        "strides",
    ),
    wire(
        "wire_expanded",
        "send one number as a tensor of 2^39 elements by a stride of 0",
        "reply(['T', 0, 'float32', [1 << 39], [0], 'cpu', False], [['float32', 4]], bytes(4))",
        BROKE,
    ),
    wire(
        "meta_overflow",
        "send a tensor without storage of 2^160 elements",
        "reply(['T', -1, 'float32', [1 << 39] * 4, None, 'meta', False])",
        BROKE,
    ),
    wire(
        "other_device",
        "send a tensor for a device that is not there",
        "reply(['T', 0, 'float32', [3], None, 'cuda:99', False], [['float32', 12]], bytes(12))",
        "",
    ),
    wire(
        "strange_device",
        "send a tensor for a device with a hostile name",
        "reply(['T', 0, 'float32', [3], None, 'vulkan:-1; rm', False], [['float32', 12]], bytes(12))",
        BROKE,
    ),
    wire(
        "bool_bytes",
        "send truth values that are neither 0 nor 1",
        "reply(['T', 0, 'bool', [3], None, 'cpu', False], [['bool', 3]], bytes([2, 255, 1]))",
        "bool byte",
    ),
    wire(
        "buffer_index",
        "name a buffer that was not sent",
        "reply(['T', 5, 'float32', [3], None, 'cpu', False], [['float32', 12]], bytes(12))",
        "buffer index",
    ),
    wire("wrong_sequence", "answer with another sequence number", "reply(1.0, ahead=1)", "sequence"),
    wire("bad_body", "send a reply that is not a list of four", "put(header({'ok': True})); time.sleep(60)", BROKE),
    wire("bad_graph", "claim a graph that does not exist", "reply(1.0, graph=['l', 'x', 3])", BROKE),
    wire("bad_object", "describe an object by nonsense", "reply(['o', 'x', None])", "object"),
    wire("bad_other", "describe a dtype, a device and a slice by nonsense", "reply(['x', 'dtype', 'no_such'])", BROKE),
    wire(
        "wide_dtype", "name a dtype of 300,000 fields", "reply(['x', 'numpy dtype', ','.join(['f8'] * 300000)])", BROKE
    ),
    wire("bad_slice", "send a slice of lists", "reply(['x', 'slice', [1, [2], 3]])", BROKE),
    wire("bad_integer", "send a long integer in letters", "reply(['x', 'int', 'zz' * 1000])", BROKE),
    wire(
        "bad_error",
        "report an error that is malformed",
        "put(header(['l', number(), 'raised', ['l', 1, 2]])); time.sleep(60)",
        BROKE,
    ),
    wire(
        "own_memory_file",
        "pass a descriptor of its own with the reply",
        "socket.send_fds(end, [struct.pack('>BI', 1, 9)], [0]); put(bytes(9)); time.sleep(60)",
        BROKE,
    ),
    wire(
        "want_everything",
        "ask for a memory file of 4 GB",
        'put(struct.pack(">BI", 2, 0xFFFFFFFF)); time.sleep(60)',
        "memory file",
    ),
    wire(
        "want_and_want",
        "ask for memory files without end",
        """
for _ in range(1000):
    put(struct.pack(">BI", 2, 1 << 20))
time.sleep(60)
""",
        "frame kind|protocol",
    ),
    wire(
        "drip",
        "send one byte every 20 ms",
        """
data = header(["l", number(), "ok", ["l", "x" * 4000, None]])
for byte in data:
    put(bytes([byte]))
    time.sleep(0.02)
""",
        "1 s|time|limit",
        seconds=1.0,
    ),
    wire(
        "notes",
        "send progress notes without end",
        "while True:\n    put(header(['l', 0, 'note', 1]))",
        "1 s|time|limit",
        seconds=1.0,
    ),
    wire("close", "close the connection and exit with 0", "end.shutdown(2)\nos._exit(0)", "ended|closed"),
    wire(
        "half",
        "send half a frame and exit with 0",
        "put(header(['l', number(), 'ok', 1])[:-3]); os._exit(0)",
        "ended|closed",
    ),
    wire(
        "stop_reading", "never read the next request", "end.shutdown(socket.SHUT_RD)\ntime.sleep(60)", "", seconds=1.0
    ),
    wire(
        "reply_twice",
        "answer this request and the next in advance",
        """
body = ["l", number(), "ok", ["l", 1.0, None]]
put(header(body) + header(["l", number() + 1, "ok", ["l", 1.0, None]]))
time.sleep(60)
""",
        "sequence",
        seconds=3.0,
    ),
    wire(
        "orphan_replies",
        "let a child answer after its parent has ended",
        """
if os.fork() == 0:
    time.sleep(0.3)
    put(header(["l", 12345, "ok", ["l", 1.0, None]]))
    time.sleep(60)
os._exit(0)
""",
        "",
        seconds=5.0,
    ),
]
