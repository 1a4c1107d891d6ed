# Another user of a host, who wants what is deployed there. Perl, because every Debian host has it.
#
#   watch DIR...          says every name that is made below these directories, until standard input ends
#   plant KIND PATH...    puts something under each of these names
#   race PATH...          does that in a loop, with every kind, and lays hands on whatever others make, until standard input ends
#   look PATH...          looks at what was planted
#
# What it could read goes to `loot`; that something planted was run, followed, read or changed goes to `events`.
use strict;
use warnings;
use Fcntl;
use POSIX ();
use Socket;

my $base   = '/tmp/mallory';
my @kinds  = qw(file open directory link nest dangling hard fifo socket);
my $script = "#!/bin/sh\n{ echo 'a planted script was run'; id; env; } >>$base/events 2>&1\n";
my ($then, $later) = (1_000_000, 2_000_000);    # a file that is read gets another time than the first one
my (%planted, %pipe, %socket, %told);

sub add { my ($name, $text) = @_; open my $f, '>>', "$base/$name" or return; syswrite $f, "$text\n"; close $f }
sub event { my ($what) = @_; add('events', $what) unless $told{$what}++ }
sub text { my ($path) = @_; sysopen my $f, $path, O_RDONLY | O_NONBLOCK or return; my $t = ''; sysread $f, $t, 1 << 20; $t }
sub names { my ($dir) = @_; opendir my $d, $dir or return; grep { !/\A\.\.?\z/ } readdir $d }

# A script that others cannot write is run where making one's own over it fails unnoticed.
sub put {
    my ($path, $mode) = @_;
    sysopen my $f, $path, O_WRONLY | O_CREAT | O_EXCL, 0755 or return;
    syswrite $f, $script;
    close $f;
    chmod $mode // 0755, $path;
    utime $then, $later, $path;
}

sub drain {
    my ($path) = @_;
    my $f = $pipe{$path} or return;
    my $t = '';
    sysread $f, $t, 1 << 16;
    event("a planted pipe was read: $path") if index($t, $script) < 0;
    $t =~ s/\Q$script\E//;
    event("a planted pipe was written to: $path: $t") if length $t;
    syswrite $f, $script;
}

sub look {
    my ($path) = @_;
    my $kind = $planted{$path} or return;
    my @s = lstat $path or return event("what was planted is gone: $path ($kind)");
    if ($kind =~ /\A(?:file|open|hard)\z/) {
        event("a planted $kind was read: $path") if $s[8] != $then;
        event("a planted $kind was changed: $path: " . (text($path) // '')) if ($s[7] != length $script || $s[9] != $later);
    } elsif ($kind eq 'directory') {
        my @new = grep { !/\A(?:switch\.sh|log)\z/ && !$planted{"$path/$_"} } names($path);
        event("something was made in a planted directory: $path/@new") if @new;
        for my $name (qw(switch.sh log)) {
            next if $planted{"$path/$name"};
            my @f = lstat "$path/$name" or next;
            event("a file of a planted directory was used: $path/$name") if $f[8] != $then || $f[9] != $later;
        }
    } elsif ($kind eq 'fifo') {
        drain($path);
    } elsif ($kind eq 'socket') {
        event("something connected to a planted socket: $path") if accept my $c, $socket{$path};
    } elsif ($kind eq 'dangling') {
        for my $name (names("$base/caught")) {
            event("a planted link was followed: $path: " . (text("$base/caught/$name") // ''));
        }
    }
}

sub clear {
    my ($path) = @_;
    delete $planted{$path};
    delete $pipe{$path};
    delete $socket{$path};
    return unless lstat $path;
    if (-d _) { clear("$path/$_") for names($path); rmdir $path }
    else { unlink $path }
}

sub plant {
    my ($kind, $path) = @_;
    my ($top) = $path =~ m{\A(/dev/shm|/tmp|/var/tmp|/run)/} or return;
    (my $up = $path) =~ s{/[^/]*\z}{};
    if (!lstat $up) { plant('directory', $up) }
    my $done;
    if ($kind eq 'file') { $done = put($path) }
    elsif ($kind eq 'open') { $done = put($path, 0777) }
    elsif ($kind eq 'directory') {
        $done = mkdir $path and chmod 0777, $path;
        if ($done) { put("$path/$_") for qw(switch.sh log) }
    }
    elsif ($kind eq 'link') { $done = symlink '/home/deployer/canary', $path }
    elsif ($kind eq 'nest') { $done = symlink '/home/deployer/nest', $path }
    elsif ($kind eq 'dangling') { $done = symlink "$base/caught/made", $path }
    elsif ($kind eq 'hard') {
        put("$top/.bait", 0666);
        $done = link("$top/.canary", $path) || link("$top/.bait", $path);
        if ($done && (lstat $path)[4] != $<) { return }    # the deploying user's own: the test looks at it
    }
    elsif ($kind eq 'fifo') {
        $done = POSIX::mkfifo($path, 0666) and chmod 0666, $path;
        if ($done && sysopen my $f, $path, O_RDWR | O_NONBLOCK) { syswrite $f, $script; $pipe{$path} = $f }
    }
    elsif ($kind eq 'socket') {
        socket my $s, AF_UNIX, SOCK_STREAM, 0;
        fcntl $s, F_SETFL, O_NONBLOCK;
        $done = length $path < 100 && bind $s, sockaddr_un($path);
        if ($done) { listen $s, 5; chmod 0777, $path; $socket{$path} = $s }
    }
    $planted{$path} = $kind if $done;
}

# Takes, renames, reads and adds to what others have made.
sub grab {
    my ($path) = @_;
    my @s = lstat $path or return;
    return if $s[4] == $< || $path =~ m{/\.canary\z|\A/tmp/fault};
    if (rename $path, "$path.mallory" or unlink $path or rmdir $path) { event("what another user has made was taken: $path") }
    return if -l _;
    if (-d _) {
        for my $name (names($path)) { add('loot', "$path/$name: " . (text("$path/$name") // '')) }
        event("something could be made in $path") if mkdir "$path/mallory";
    } elsif (-f _) {
        my $t = text($path);
        add('loot', "$path: $t") if defined $t && !$told{$t}++;
        event("$path could be written") if sysopen my $f, $path, O_WRONLY | O_APPEND;
    }
    for my $name ("$path.new", "$path.sh", "$path.log") { put($name) unless lstat $name }
}

sub processes {
    for my $pid (grep { /\A\d+\z/ } names('/proc')) {
        for my $what (qw(cmdline environ)) {
            my $t = text("/proc/$pid/$what");
            next if !defined $t || (stat "/proc/$pid")[4] // $< == $<;
            add('loot', $t) unless $told{$t}++;
        }
    }
}

sub ended { my $r = ''; vec($r, 0, 1) = 1; select $r, undef, undef, 0 }

sub race {
    my @paths = @_;
    my $round = 0;
    POSIX::nice(5);    # whoever deploys is to come to the end of it, too
    until (ended()) {
        for my $i (0 .. $#paths) {
            next if $paths[$i] =~ m{\A/run/};
            look($paths[$i]);
            clear($paths[$i]);
            plant($kinds[($round + $i) % @kinds], $paths[$i]);
        }
        for my $dir (qw(/dev/shm /tmp /var/tmp)) { grab("$dir/$_") for names($dir) }
        processes() if $round % 50 == 0;
        $round++;
    }
    for my $path (@paths) { look($path); clear($path) }
    add('rounds', $round);
}

sub watch {
    my %nr = (x86_64 => [294, 254], aarch64 => [26, 27]);
    my ($init, $watch) = @{ $nr{ (POSIX::uname())[4] } or die "no inotify here" };
    my $fd = syscall $init, 0;
    open my $events, '<&=', $fd or die $!;
    my (%dir, %said);
    my $add = sub { my ($p) = @_; my $w = syscall $watch, $fd, "$p", 0x180 | 0x1000000; $dir{$w} = $p if $w >= 0 };
    my $say = sub { my ($p) = @_; print "$p\n" unless $said{$p}++; if (-d $p && !-l $p) { $add->($p); $said{"$p/$_"}++ or print "$p/$_\n" for names($p) } };
    $| = 1;
    $add->($_) for @_;
    print "watching\n";
    while (1) {
        my $r = '';
        vec($r, 0, 1) = 1;
        vec($r, $fd, 1) = 1;
        select $r, undef, undef, undef;
        if (vec $r, $fd, 1) {
            sysread $events, my $buffer, 1 << 16;
            while (length $buffer) {
                my ($w, $mask, $cookie, $len) = unpack 'iIII', $buffer;
                my $name = unpack 'Z*', substr $buffer, 16, $len;
                $buffer = substr $buffer, 16 + $len;
                $say->("$dir{$w}/$name") if defined $dir{$w};
            }
        } elsif (vec $r, 0, 1) { return }
    }
}

my $what = shift;
if ($what eq 'watch') { watch(@ARGV) }
elsif ($what eq 'race') { race(@ARGV) }
elsif ($what eq 'plant') {
    # Stays for what only a living process has: the other end of a pipe, a socket; and looks once more in the end.
    my $kind = shift;
    for my $path (@ARGV) { clear($path); plant($kind, $path) }
    $| = 1;
    print "planted ", scalar(keys %planted), "\n";
    my $line = <STDIN>;
    for my $path (@ARGV) { look($path); clear($path) }
}
else { die "what?" }
