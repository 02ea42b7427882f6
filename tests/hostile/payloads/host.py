"""Harm the host: change files, signal processes, gain rights, use the kernel's rarer doors."""

from hostile.attempt import Payload, claim

PAYLOADS = [
    claim("overwrite", "write into the results in place", "open(t['place'] + '/results.json', 'w').write('{}')"),
    claim("create", "create a file in an open folder", "open(t['place'] + '/new', 'w') and True"),
    claim("truncate", "truncate a file by its path", "os.truncate(t['place'] + '/results.json', 0) or True"),
    claim(
        "rename",
        "rename and remove files",
        "managed(lambda: os.rename(t['place'] + '/other', t['place'] + '/moved'), "
        "lambda: os.unlink(t['place'] + '/other'), lambda: os.mkdir(t['place'] + '/folder'))",
    ),
    Payload(
        "chmod",
        "change modes of files",
        "def attack(t):\n    os.chmod(t['place'] + '/own', 0o600)\n"
        "    return oct(os.stat(t['place'] + '/own').st_mode) == '0o100600'\n",
    ),
    Payload(
        "touch",
        "change times of files",
        "def attack(t):\n    os.utime(t['place'] + '/own', (1, 1))\n"
        "    return os.stat(t['place'] + '/own').st_mtime == 1\n",
    ),
    claim(
        "xattr",
        "set extended attributes",
        "managed(lambda: os.setxattr(t['place'] + '/own', 'user.x', b'1'))",
        control="none",
    ),
    claim("chown", "give files to others", "managed(lambda: os.chown(t['place'] + '/own', os.getuid(), os.getgid()))"),
    claim(
        "library",
        "write into the installed packages",
        "managed(lambda: open(os.path.dirname(torch.__path__[0]) + "
        "'/x', 'w'), lambda: open(torch.__file__, 'a'), lambda: os.remove(torch.__file__))",
        control="none",
    ),
    claim(
        "data_set",
        "write into the data sets",
        "managed(lambda: open(t['data'] + '/set.txt', 'w'), lambda: open(t['data'] + '/new', 'w'))",
    ),
    claim(
        "dev",
        "create files in /dev, write to its nodes' folder",
        "managed(lambda: open('/dev/new', 'w'), lambda: os.mkdir('/dev/x'), lambda: os.remove('/dev/null'))",
        control="none",
    ),
    claim(
        "sysctl",
        "write to /proc/sys, sysrq and control groups",
        "managed(*[lambda f=f: open(f, 'w') for f in "
        "('/proc/sys/kernel/core_pattern', '/proc/sysrq-trigger', '/sys/fs/cgroup/cgroup.procs', "
        "'/proc/self/oom_score_adj')])",
    ),
    claim(
        "signal_grader",
        "signal grader, zygote and parent",
        "managed(*[lambda p=p: os.kill(p, signal.SIGCONT) for p in "
        "(t['grader'], t['zygote'])], lambda: signal.pidfd_send_signal(os.pidfd_open(t['grader']), signal.SIGCONT))",
    ),
    claim(
        "signal_parent",
        "kill its supervisor",
        "managed(lambda: os.kill(os.getppid(), signal.SIGKILL)) and (time.sleep(0.5) or os.getppid() != t['parent'])",
        control="none",
    ),
    Payload(
        "signal_all",
        "kill everything it may signal",
        """
def attack(t):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    managed(lambda: os.kill(-1, signal.SIGTERM), lambda: os.killpg(0, signal.SIGTERM))
    managed(*[lambda p=p: os.kill(p, signal.SIGTERM) for p in range(3, 200)])
    return False
""",
        control="none",
    ),
    claim(
        "limits_of_parent",
        "change the limits of its parent",
        "managed(lambda: resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (20, 20)))",
    ),
    claim(
        "limits_of_grader",
        "change the limits of the grader",
        "managed(lambda: resource.prlimit(t['grader'], "
        "resource.RLIMIT_NPROC, resource.prlimit(t['grader'], resource.RLIMIT_NPROC)))",
    ),
    claim(
        "own_limits",
        "raise its own limits and core size",
        "managed(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, "
        "(4096, 4096)), lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)))",
    ),
    claim(
        "priority",
        "raise its priority, choose processors, run in real time",
        "managed(lambda: os.nice(-5), "
        "lambda: os.sched_setaffinity(0, {0}), lambda: os.sched_setscheduler(0, 1, os.sched_param(1)), "
        "lambda: os.setpriority(0, 0, 1))",
    ),
    claim(
        "namespaces",
        "make namespaces",
        "managed(*[lambda f=f: call(272, f) for f in (0x10000000, 0x20000, 0x40000000, 0x10020000)])",
        x86=True,
    ),
    claim(
        "clone_namespace",
        "make a namespace with clone",
        "call(56, 0x10000000 | 17, 0, 0, 0, 0) and True",
        x86=True,
        control="none",
    ),
    claim(
        "setns",
        "enter another namespace",
        "managed(lambda: call(308, os.open('/proc/1/ns/mnt', os.O_RDONLY), 0), "
        "lambda: call(308, os.pidfd_open(os.getppid()), 0x20000))",
        x86=True,
        control="none",
    ),
    claim(
        "mount",
        "mount, pivot and change the root",
        "managed(lambda: call(165, b'none', b'/tmp', b'tmpfs', 0, 0), "
        "lambda: call(161, b'.'), lambda: call(155, b'.', b'.'), lambda: call(166, b'/proc', 2), "
        "lambda: call(428, -100, b'/', 1), lambda: call(430, b'tmpfs', 0))",
        x86=True,
        control="none",
    ),
    claim(
        "become_root",
        "become root or somebody else",
        "managed(lambda: os.setuid(0), lambda: os.setgid(0), lambda: os.setgroups([0]), lambda: os.setresuid(0, 0, 0))",
        control="none",
    ),
    claim(
        "suid",
        "run programs that are root's",
        "managed(*[lambda c=c: __import__('subprocess').run(c, "
        "capture_output=True, timeout=5).returncode == 0 for c in (['/usr/bin/su', '--version'], ['/bin/mount'], "
        "['/usr/bin/passwd', '--help'])])",
    ),
    claim(
        "device_node",
        "make a device node",
        "managed(lambda: os.mknod('disk', 0o060600, os.makedev(254, 0)), "
        "lambda: os.mknod('mem', 0o020600, os.makedev(1, 1)))",
        control="none",
    ),
    claim(
        "execute_own",
        "execute a program from its own folder",
        "(open('run', 'wb').write(b'#!/bin/true\\n'), "
        "os.chmod('run', 0o755)) and managed(lambda: __import__('subprocess').run(['./run']).returncode == 0)",
    ),
    claim(
        "machine",
        "reboot, load modules, set the clock",
        "managed(lambda: call(169, 0, 0, 0, 0), lambda: call(313, 0, "
        "b'', 0), lambda: call(227, 0, ctypes.create_string_buffer(16)), lambda: call(170, b'x', 1), "
        "lambda: call(167, b'/swap', 0))",
        x86=True,
        control="none",
    ),
    claim(
        "terminal",
        "type into the grader's terminal",
        "managed(*[lambda f=f: __import__('fcntl').ioctl(f, 0x5412, b'x') for f in (0, 1, 2)])",
        control="none",
    ),
    claim(
        "session",
        "leave its session and the scheduler's group",
        "managed(lambda: os.setsid()) or managed(lambda: "
        "[os.setsid() for _ in [0] if os.fork() == 0] and os._exit(0) or False)",
        control="none",
    ),
    claim(
        "lease",
        "hold leases and watches on shared files",
        "managed(lambda: __import__('fcntl').fcntl(open(torch."
        "__file__), 1024, 0), lambda: call(253), lambda: call(294, 0), lambda: call(300, 0, 0))",
        x86=True,
    ),
    claim(
        "socket_filter",
        "attach a program to a socket",
        "managed(lambda: socket.socketpair()[0].setsockopt(1, 26, "
        "struct.pack('HxxxxxxQ', 1, 0)) or True, lambda: libc.setsockopt(3, 1, 26, (ctypes.c_char * 16)"
        "(*struct.pack('HxxxxxxQ', 1, ctypes.addressof(ctypes.create_string_buffer(struct.pack('HBBI', 6, 0, 0, "
        "0))))), 16) == 0)",
        control="none",
    ),
    claim("personality", "switch off the randomised layout", "call(135, 0x0040000) and True", x86=True, control="none"),
    claim("memory_file", "execute a program from memory", "os.execve(os.memfd_create('x'), ['x'], {})", control="none"),
]
