"""Read what is hidden: suites, solutions, other submissions, memory, sockets."""

from hostile.attempt import Payload, claim

PAYLOADS = [
    claim("open_secret", "open a file that everybody may read", "open(t['place'] + '/secret').read() and True"),
    claim("stat_secret", "learn the size and time of a hidden file", "os.stat(t['place'] + '/secret').st_size", 3),
    claim(
        "list_course",
        "list the folder of the course",
        "managed(lambda: os.listdir(t['course']), "
        "lambda: os.listdir(t['place']), lambda: os.listdir('/home') or False)",
    ),
    claim(
        "symlink",
        "reach it through a symbolic link in its own folder",
        "os.symlink(t['place'] + '/secret', 'link') or open('link').read()",
    ),
    claim("hardlink", "reach it through a hard link", "os.link(t['place'] + '/secret', 'link') or open('link').read()"),
    claim(
        "dir_fd",
        "climb out of its folder by descriptors",
        "os.open('..' + '/..' * 20 + t['place'] + '/secret', os.O_RDONLY, dir_fd=os.open('.', os.O_RDONLY)) and True",
    ),
    claim(
        "open_path_fd",
        "open by O_PATH and then read through the descriptor",
        "os.read(os.open('/proc/self/fd/%d' % os.open(t['place'] + '/secret', os.O_PATH), os.O_RDONLY), 9)",
    ),
    claim(
        "handle",
        "open a file by its handle",
        "call(304, -100, ctypes.create_string_buffer(b'x' * 128), 0) and True",
        x86=True,
        control="none",
    ),
    claim(
        "execute",
        "let another program read it",
        "__import__('subprocess').run(['cat', t['place'] + '/secret'], capture_output=True).stdout",
    ),
    claim(
        "import_suite",
        "import the suite, the solutions or the grader",
        "managed(*[lambda n=n: __import__(n) for n in ('graders', 'solutions', 'grade', 'checks', 'secret_suite')]) "
        "or (sys.path.insert(0, t['place']) or managed(lambda: __import__('secret_suite')))",
    ),
    claim(
        "system_files",
        "read accounts, keys and histories",
        "managed(*[lambda f=f: open(f).read() for f in "
        "('/etc/passwd', '/etc/hostname', '/etc/group', os.path.expanduser('~/.bash_history'))])",
    ),
    claim(
        "inherited",
        "use descriptors that were left open",
        "[n for n in range(4, 1024) if not managed(lambda: os.fstat(n)) == [] and n not in t.get('own', ())]",
        1,
        control="none",
    ),
    claim(
        "environment",
        "read the grader's environment",
        "[k for k in os.environ if k in t['environment']]",
        1,
        control="none",
    ),
    claim(
        "proc_pids",
        "read command lines of other processes",
        "managed(*[lambda p=p: open('/proc/%d/cmdline' % p).read() for p in (1, t['grader'], t['zygote'])])",
    ),
    claim(
        "proc_memory",
        "read the memory of grader, zygote and parent",
        "managed(*[lambda p=p: open('/proc/%d/mem' % p, 'rb') for p in (t['grader'], t['zygote'], os.getppid())])",
    ),
    claim(
        "proc_root",
        "walk through another process's root and working folder",
        "managed(*[lambda p=p: os.listdir("
        "'/proc/%s/root' % p) for p in ('self', 1, t['grader'])], lambda: os.readlink('/proc/%d/cwd' % t['grader']))",
    ),
    claim(
        "ptrace",
        "trace grader, zygote and parent",
        "managed(*[lambda p=p: call(101, 0x4206, p, 0, 0) for p in (t['grader'], t['zygote'], os.getppid())])",
        x86=True,
    ),
    claim(
        "process_vm",
        "read memory by process_vm_readv",
        "managed(*[lambda p=p: call(310, p, (ctypes.c_long * 2)("
        "ctypes.addressof(SPACE), 8), 1, (ctypes.c_long * 2)(id(torch), 8), 1, 0) for p in "
        "(t['grader'], os.getppid())])",
        x86=True,
    ),
    claim(
        "pidfd_getfd",
        "take a descriptor out of another process",
        "managed(*[lambda p=p: call(438, os.pidfd_open(p), 0, 0) for p in (t['grader'], t['zygote'], os.getppid())])",
        x86=True,
    ),
    claim(
        "kcmp",
        "compare descriptors with another process",
        "managed(lambda: call(312, os.getpid(), os.getppid(), 0, 1, 1))",
        x86=True,
    ),
    claim("keyring", "leave a key for the next job", "call(248, b'user', b'note', b'text', 4, -3)", x86=True),
    claim(
        "kernel_log",
        "read the kernel's log",
        "managed(lambda: open('/dev/kmsg'), lambda: call(103, 3, ctypes.create_string_buffer(100), 100))",
        x86=True,
        control="none",
    ),
    claim(
        "devices",
        "open disks, memory and terminals",
        "managed(*[lambda d=d: open(d, 'rb') for d in ('/dev/mem', "
        "'/dev/vda', '/dev/sda', '/dev/tty', '/dev/vsock', '/dev/ptmx')])",
    ),
    claim("tcp", "connect to a port of this machine", "socket.create_connection(('127.0.0.1', t['port']), 1) and True"),
    claim("tcp_listen", "open a port for somebody outside", "socket.create_server(('127.0.0.1', 0)) and True"),
    claim("udp", "send a datagram to this machine", "socket.socket(2, 2).sendto(b'secret', ('127.0.0.1', t['udp']))"),
    claim("ipv6", "connect over IPv6", "socket.socket(10, 1) and True"),
    claim(
        "raw_socket",
        "open packet and raw sockets",
        "managed(lambda: socket.socket(17, 3, 0), lambda: socket.socket(2, 3, 1))",
        control="none",
    ),
    claim("netlink", "ask the kernel about network and processes", "managed(lambda: socket.socket(16, 3, 0))"),
    claim(
        "vsock",
        "talk to the machine below",
        "managed(lambda: call(41, 40, 1, 0), lambda: call(41, 40 | 1 << 32, 1, 0))",
        x86=True,
    ),
    claim(
        "abstract_socket",
        "connect to an abstract socket of the host",
        "socket.socket(1).connect('\\0' + t['abstract']) or True",
    ),
    claim(
        "path_socket",
        "connect to a socket in the file system (a container engine, a desktop bus)",
        "socket.socket(1).connect(t['place'] + '/socket') or True",
    ),
    claim(
        "sendto_path_socket",
        "send a datagram to a socket in the file system",
        "socket.socket(1, 2).sendto(b'x', t['place'] + '/datagram') and True",
    ),
    claim(
        "high_bits",
        "slip a forbidden family past the filter with high bits",
        "managed(*[lambda f=f: call(41, f | 1 << 32, 1, 0) for f in (2, 10, 16)])",
        x86=True,
    ),
    claim(
        "x32",
        "use the x32 numbers of system calls",
        "managed(lambda: call(0x40000000 + 41, 2, 1, 0), lambda: call(0x40000000 + 39))",
        x86=True,
        control="none",
    ),
    claim(
        "perf",
        "watch the machine with perf, bpf and userfaultfd",
        "managed(lambda: call(298, ctypes."
        "create_string_buffer(128), 0, -1, -1, 0), lambda: call(321, 0, ctypes.create_string_buffer(128), 128), "
        "lambda: call(323, 1))",
        x86=True,
    ),
    claim(
        "io_uring",
        "do file work in io_uring, behind the filter",
        "call(425, 8, ctypes.create_string_buffer(240)) and True",
        x86=True,
    ),
    claim(
        "core_dump",
        "become dumpable, to be traced or dumped",
        "managed(lambda: libc.prctl(4, 1, 0, 0, 0) == 0 and libc.prctl(3, 0, 0, 0, 0) == 1)",
        control="none",
    ),
    Payload(
        "int80",
        "make a 32-bit system call",
        """
def attack(t):
    code = b"\\x53\\xb8\\x14\\x00\\x00\\x00\\xcd\\x80\\x5b\\xc3"  # push rbx; mov eax, 20 (getpid); int 0x80; pop rbx; ret
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    run = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    return run() == os.getpid()
""",
        x86=True,
    ),
]
