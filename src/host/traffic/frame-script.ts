/**
 * The program of perl that sends frames and says where they leave the host. Node has no packet sockets, and perl-base is on every Debian.
 * It is this text, whatever is sent: what differs comes on stdin, a line each.
 *
 * - `filter CODE JT JF K,…`: the classic BPF program of what is looked at.
 * - `hear LINK`: look at what leaves by this link.
 * - `send LINK SIZE HEX`: send a frame that begins with these bytes, and goes on with 0, 1, 2 … 255, 0 … to its size.
 * - `wait SECONDS COUNT`: how long to wait at most for so many sightings.
 *
 * It prints `deaf LINK WHY`, `unsent FRAME WHY`, and `seen LINK FRAME SIZE SAME SECONDS.NANOSECONDS`.
 *
 * Each socket gets no frame before it has its filter: it is bound after that. What comes in by a link is left out, for a container may
 * send the same bytes back (PACKET_OUTGOING is 4). A sight is taken after each frame, so that no socket has to keep many.
 * Under perl's -T, no variable of the environment adds code, and what was read is not passed to bind() or ioctl() before it is matched.
 */
export const frameScript = `
use strict;
my (@ears, @frames, $filter, $wait, $count);
while (my $line = <STDIN>) {
  if ($line =~ /^filter ([0-9 ,]+)$/) {
    $filter = join '', map { pack 'S C C L', split ' ' } split /,/, $1;
  } elsif ($line =~ /^hear (\\d+)$/) {
    push @ears, $1;
  } elsif ($line =~ /^send (\\d+) (\\d+) ([0-9a-f]+)$/) {
    push @frames, { link => $1, size => $2, head => pack 'H*', $3 };
  } elsif ($line =~ /^wait ([0-9.]+) (\\d+)$/) {
    ($wait, $count) = ($1, $2);
  } else {
    die "not understood: $line";
  }
}
$| = 1;
# AF_PACKET, SOCK_RAW; SOL_SOCKET, SO_ATTACH_FILTER; SIOCGSTAMPNS, which makes the kernel stamp what comes later.
my ($family, $raw, $socket, $attach, $stamp) = (17, 3, 1, 26, 0x8907);
my $pattern = join '', map { chr } 0 .. 255;
sub place { my ($link, $type) = @_; return pack 'S n i S C C x8', $family, $type, $link, 0, 0, 0; }
sub content {
  my ($frame) = @_;
  return substr $frame->{head} . $pattern x (1 + $frame->{size} / 256), 0, $frame->{size};
}
my ($bits, @sockets) = ('');
for my $link (@ears) {
  socket my $ear, $family, $raw, 0 or die "socket: $!\\n";
  my $program = pack('S', length($filter) / 8) . "\\0" x (length(pack 'P', '') - 2) . pack 'P', $filter;
  setsockopt $ear, $socket, $attach, $program or die "filter: $!\\n";
  ioctl $ear, $stamp, my $time = "\\0" x 16;
  if (bind $ear, place($link, 3)) {
    $sockets[fileno $ear] = $ear;
    vec($bits, fileno($ear), 1) = 1;
  } else {
    print "deaf $link $!\\n";
  }
}
sub look {
  my ($patience) = @_;
  my ($ready, $left) = select my $in = $bits, undef, undef, $patience;
  return 0 if $ready <= 0;
  for my $ear (grep { defined && vec $in, fileno($_), 1 } @sockets) {
    while (defined(my $from = recv $ear, my $bytes, 262144, 64)) {
      my (undef, undef, $link, undef, $type) = unpack 'S n i S C', $from;
      ioctl $ear, $stamp, my $time = "\\0" x 16;
      next if $type != 4;
      my $number = unpack 'n', substr $bytes, 30, 2;
      my $same = defined $frames[$number] && $bytes eq content($frames[$number]) ? 1 : 0;
      printf "seen %d %d %d %d %d.%09d\\n", $link, $number, length $bytes, $same, unpack 'l! l!', $time;
      $count--;
    }
  }
  return $left;
}
socket my $out, $family, $raw, 0 or die "socket: $!\\n";
for my $number (0 .. $#frames) {
  my $frame = $frames[$number];
  defined send $out, content($frame), 0, place($frame->{link}, 0x88b5) or print "unsent $number $!\\n";
  look(0);
}
while ($count > 0 && $wait > 0) { $wait = look($wait); }
# What comes twice comes soon after.
my $more = 0.02;
while ($more > 0) { $more = look($more); }
`
