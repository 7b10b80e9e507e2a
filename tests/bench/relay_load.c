/* Stations and their CSMS in one thread, light enough not to be what is measured: the load of tests/bench/relay.py.
 *
 * One epoll loop plays both sides, so that a message costs four system calls and no switch between processes. Every
 * frame is checked on its arrival: an id or a byte that is not what was sent ends the program with status 1.
 *
 * It prints "listening PORT", the CSMS's, and then does one line of its input after the other:
 *
 *   open PORT N SIZE     N stations open their WebSockets to 127.0.0.1:PORT; messages will be of SIZE bytes -> "open"
 *   rate WARM SECONDS    each sends, waits for the answer and sends again -> "go" after WARM seconds, and then
 *                        after SECONDS "stop" and
 *                        "rate SENT ANSWERED COUNTED SECONDS CPU": all messages; the answers between go and stop, how
 *                        long that was, and how much of a core this program had meanwhile
 *   timed SECONDS        each sends a message a second, evenly staggered; the first second is not counted ->
 *                        "timed SENT ANSWERED P50 P90 P99 MAX", round trips in microseconds
 *   restart SECONDS      the CSMS ends all connections and is gone for so long -> "back TOOK" when every station that
 *                        lost its connection has another, seconds after the CSMS's return
 *   close                the stations close -> "closed" when the CSMS has no more of them
 *
 * It ends with its input. Compiled with: cc -O2 -o relay_load relay_load.c
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { FDS = 16384, PIECE = 1 << 18, MESSAGE = 65535, EVENTS = 256, DIALLING = 64, HEAD = 8192 };
enum { ID_AT = 4, ID = 8 };            /* [2,"00000001",... */
static const double SECONDS = 60;      /* for what should be over at once */
static const double BACK_OFF = 0.1, BACK_OFF_MOST = 1.0;
static const uint8_t MASK[4] = {0x37, 0xfa, 0x21, 0x3d};
static const char KEY[] = "dGhlIHNhbXBsZSBub25jZQ=="; /* of RFC 6455 1.3, as is its answer */
static const char GUID[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

enum side { STATION, CSMS };
enum state { DOWN, DIAL, SHAKE, OPEN, CLOSING };

struct conn {
  int fd;
  enum side side;
  enum state state;
  bool controller; /* localctl's own connection to the CSMS: it is answered in earnest */
  int number;      /* a station's */
  int version;     /* what was offered */
  uint64_t id;     /* of the message whose answer is awaited, 0: none */
  double due, wait; /* when a station dials again, and how long it waited */
  char *in, *out;  /* what is not a whole frame yet, what the socket did not take */
  size_t in_len, out_len;
};

static const char *const VERSIONS[] = {"ocpp2.0.1", "ocpp1.6"};
static struct conn *by_fd[FDS], *stations;
static int poller, listener = -1, port, target, count, size = 150, opened, dialling, served;
static uint64_t sent, answered, outstanding;
static bool sending, dial_again; /* whether an answer is followed by the next message; a loss by the next connection */
static struct timed { double at; float took; } *timed; /* by id, while there is one */
static uint64_t timed_most;
static char piece[PIECE], question[MESSAGE + 16], reply[MESSAGE + 16], expected[MESSAGE + 16];
static size_t question_head, reply_head;
static char accept_key[32];

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("relay_load: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  exit(1);
}

static void tell(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vprintf(format, arguments);
  putchar('\n');
  fflush(stdout);
}

/* SHA-1 (RFC 3174) of less than 120 bytes, and base64: Sec-WebSocket-Accept. */

static uint32_t turned(uint32_t x, int by) { return x << by | x >> (32 - by); }

static void sha1(const char *text, size_t length, uint8_t out[20]) {
  uint8_t block[128] = {0};
  uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
  size_t whole = length + 9 <= 64 ? 64 : 128;
  memcpy(block, text, length);
  block[length] = 0x80;
  block[whole - 2] = (uint8_t)(length * 8 >> 8);
  block[whole - 1] = (uint8_t)(length * 8);
  for (size_t at = 0; at < whole; at += 64) {
    uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (int i = 0; i < 16; i++)
      w[i] = (uint32_t)block[at + 4 * i] << 24 | block[at + 4 * i + 1] << 16 | block[at + 4 * i + 2] << 8 |
             block[at + 4 * i + 3];
    for (int i = 16; i < 80; i++) w[i] = turned(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    for (int i = 0; i < 80; i++) {
      uint32_t f = i < 20   ? ((b & c) | (~b & d)) + 0x5a827999
                   : i < 40 ? (b ^ c ^ d) + 0x6ed9eba1
                   : i < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc
                            : (b ^ c ^ d) + 0xca62c1d6;
      uint32_t next = turned(a, 5) + f + e + w[i];
      e = d, d = c, c = turned(b, 30), b = a, a = next;
    }
    h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
  }
  for (int i = 0; i < 20; i++) out[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
}

static void accept_of(const char *key, size_t length, char out[29]) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  char text[100];
  uint8_t hash[21] = {0};
  if (length > 60) die("a key of %zu bytes", length);
  memcpy(text, key, length);
  memcpy(text + length, GUID, sizeof GUID - 1);
  sha1(text, length + sizeof GUID - 1, hash);
  for (int i = 0; i < 7; i++) {
    uint32_t three = (uint32_t)hash[3 * i] << 16 | hash[3 * i + 1] << 8 | hash[3 * i + 2];
    for (int j = 0; j < 4; j++) out[4 * i + j] = digits[three >> (18 - 6 * j) & 63];
  }
  out[27] = '=';
  out[28] = 0;
}

/* Connections. */

static void watch(struct conn *c, int how, uint32_t events) {
  struct epoll_event event = {.events = events, .data.fd = c->fd};
  if (epoll_ctl(poller, how, c->fd, &event)) die("epoll_ctl: %s", strerror(errno));
}

static void attach(struct conn *c, int fd, uint32_t events) {
  int one = 1;
  if (fd < 0 || fd >= FDS) die("descriptor %d: %s", fd, fd < 0 ? strerror(errno) : "too many");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  c->fd = fd;
  by_fd[fd] = c;
  watch(c, EPOLL_CTL_ADD, events);
}

/* Its socket is closed at once; a station stays and dials again where it should. */
static void drop(struct conn *c) {
  close(c->fd);
  by_fd[c->fd] = NULL;
  free(c->in);
  free(c->out);
  c->in = c->out = NULL;
  c->in_len = c->out_len = 0;
  enum state was = c->state;
  c->state = DOWN;
  if (c->side == CSMS) {
    served -= !c->controller && was >= OPEN;
    free(c);
    return;
  }
  if (was == OPEN || was == CLOSING) opened--;
  if (was == DIAL || was == SHAKE) dialling--;
  if (was == OPEN && !dial_again) die("station %d has lost its connection", c->number);
  c->wait = was == OPEN ? BACK_OFF / 2 : c->wait * 2 < BACK_OFF_MOST ? c->wait * 2 : BACK_OFF_MOST;
  c->due = now() + (was == OPEN ? 0 : c->wait * (0.5 + (c->number * 37 % 100) / 100.0));
}

static void send_all(struct conn *c, const char *data, size_t length) {
  size_t done = 0;
  if (!c->out_len) {
    ssize_t n = send(c->fd, data, length, MSG_NOSIGNAL);
    if (n == (ssize_t)length) return;
    if (n < 0 && errno != EAGAIN) return; /* its end will be read */
    done = n < 0 ? 0 : (size_t)n;
    watch(c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
  }
  c->out = realloc(c->out, c->out_len + length - done);
  memcpy(c->out + c->out_len, data + done, length - done);
  c->out_len += length - done;
}

static void flush(struct conn *c) {
  ssize_t n = send(c->fd, c->out, c->out_len, MSG_NOSIGNAL);
  if (n <= 0) return;
  c->out_len -= (size_t)n;
  memmove(c->out, c->out + n, c->out_len);
  if (!c->out_len) watch(c, EPOLL_CTL_MOD, EPOLLIN);
}

/* Frames. */

static size_t head(char *at, int opcode, size_t length, bool masked) {
  size_t n = 2;
  at[0] = (char)(0x80 | opcode);
  at[1] = (char)(masked ? 0x80 : 0);
  if (length < 126) {
    at[1] |= (char)length;
  } else {
    at[1] |= 126;
    at[2] = (char)(length >> 8), at[3] = (char)length;
    n = 4;
  }
  if (masked) memcpy(at + n, MASK, 4), n += 4;
  return n;
}

static void mask(char *data, size_t length, const uint8_t key[4]) {
  uint64_t eight, word;
  size_t i = 0;
  memcpy(&eight, key, 4);
  memcpy((char *)&eight + 4, key, 4);
  for (; i + 8 <= length; i += 8) memcpy(&word, data + i, 8), word ^= eight, memcpy(data + i, &word, 8);
  for (; i < length; i++) data[i] ^= (char)key[i % 4];
}

static void send_frame(struct conn *c, int opcode, const char *data, size_t length) {
  char frame[2048];
  if (length > sizeof frame - 16) die("a frame of %zu bytes", length);
  size_t n = head(frame, opcode, length, c->side == STATION);
  memcpy(frame + n, data, length);
  if (c->side == STATION) mask(frame + n, length, MASK);
  send_all(c, frame, n + length);
}

/* The two messages of this size; the id is put in when they are sent. */
static void prepare(void) {
  static const char start[] = "[2,\"00000000\",\"MeterValues\",{\"x\":\"", back[] = "[3,\"00000000\",{\"x\":\"";
  if (size < 64 || size > MESSAGE) die("a message has 64 to %d bytes", MESSAGE);
  memset(expected, 'x', sizeof expected);
  memcpy(expected, start, sizeof start - 1);
  memcpy(expected + size - 3, "\"}]", 3);
  question_head = head(question, 1, (size_t)size, true);
  memcpy(question + question_head, expected, (size_t)size);
  mask(question + question_head, (size_t)size, MASK);
  reply_head = head(reply, 1, (size_t)size, false);
  memset(reply + reply_head, 'y', (size_t)size);
  memcpy(reply + reply_head, back, sizeof back - 1);
  memcpy(reply + reply_head + size - 3, "\"}]", 3);
}

static void ask(struct conn *c) {
  uint64_t rest = c->id = ++sent;
  outstanding++;
  for (int i = ID - 1; i >= 0; i--, rest /= 10)
    question[question_head + ID_AT + i] = (char)(('0' + rest % 10) ^ MASK[(ID_AT + i) % 4]);
  if (timed) {
    if (sent >= timed_most) die("more than %llu messages", (unsigned long long)timed_most);
    timed[sent].at = now();
  }
  send_all(c, question, question_head + (size_t)size);
}

static void take_answer(struct conn *c, const char *data, size_t length) {
  uint64_t id = 0;
  size_t rest = ID_AT + ID;
  for (int i = 0; i < ID; i++) id = id * 10 + (uint64_t)(data[ID_AT + i] - '0');
  if (length != (size_t)size || memcmp(data, reply + reply_head, ID_AT) ||
      memcmp(data + rest, reply + reply_head + rest, length - rest))
    die("station %d got what the CSMS did not send: %.*s", c->number, (int)(length < 60 ? length : 60), data);
  if (timed) {
    if (id > sent || timed[id].took) die("station %d got an answer that is not awaited", c->number);
    timed[id].took = (float)((now() - timed[id].at) * 1e6);
  } else if (id != c->id) {
    die("station %d got another's answer", c->number);
  }
  answered++;
  outstanding--;
  if (sending && !timed) ask(c);
}

static void answer_controller(struct conn *c, const char *data, size_t length) {
  char id[40] = "", text[300], at[40];
  time_t seconds = time(NULL);
  if (length < 5 || strncmp(data, "[2,", 3)) return;
  const char *from = memchr(data, '"', length), *to = from ? memchr(from + 1, '"', length - (size_t)(from + 1 - data)) : 0;
  if (!to || to - from > 37) die("an id of the controller's: %.*s", (int)length, data);
  memcpy(id, from + 1, (size_t)(to - from - 1));
  strftime(at, sizeof at, "%Y-%m-%dT%H:%M:%SZ", gmtime(&seconds));
  if (memmem(data, length, "\"BootNotification\"", 18))
    sprintf(text, "[3,\"%s\",{\"currentTime\":\"%s\",\"interval\":3600,\"status\":\"Accepted\"}]", id, at);
  else if (memmem(data, length, "\"Heartbeat\"", 11))
    sprintf(text, "[3,\"%s\",{\"currentTime\":\"%s\"}]", id, at);
  else
    sprintf(text, "[3,\"%s\",{}]", id);
  send_frame(c, 1, text, strlen(text));
}

static void take_question(struct conn *c, char *data, size_t length) {
  size_t rest = ID_AT + ID;
  if (c->controller) {
    answer_controller(c, data, length);
    return;
  }
  if (length != (size_t)size || memcmp(data, expected, ID_AT) || memcmp(data + rest, expected + rest, length - rest))
    die("the CSMS got what no station sent: %.*s", (int)(length < 60 ? length : 60), data);
  memcpy(reply + reply_head + ID_AT, data + ID_AT, ID);
  send_all(c, reply, reply_head + length);
}

/* One frame from the start of ``data``; its length, or 0 if it is not whole, or -1 if the connection is no more. */
static ssize_t take_frame(struct conn *c, char *data, size_t have) {
  if (have < 2) return 0;
  uint8_t first = (uint8_t)data[0], second = (uint8_t)data[1];
  size_t n = 2, length = second & 127;
  if (length == 126) {
    if (have < 4) return 0;
    length = (size_t)((uint8_t)data[2] << 8 | (uint8_t)data[3]);
    n = 4;
  } else if (length == 127) {
    die("a frame of more than %d bytes", MESSAGE);
  }
  if (!(second & 128) != (c->side == STATION)) die("a frame with the mask of the other side");
  if (second & 128) n += 4;
  if (have < n + length) return 0;
  if (second & 128) mask(data + n, length, (uint8_t *)data + n - 4);
  switch (first) {
  case 0x81:
    (c->side == STATION ? (void (*)(struct conn *, char *, size_t))take_answer : take_question)(c, data + n, length);
    break;
  case 0x88:
    if (c->side == CSMS) send_frame(c, 8, data + n, length);
    drop(c);
    return -1;
  case 0x89:
    send_frame(c, 10, data + n, length);
    break;
  case 0x8a:
    break;
  default:
    die("a frame that begins with %02x", first);
  }
  return (ssize_t)(n + length);
}

/* Handshakes. */

static const char *header(const char *text, const char *name, size_t *length) {
  const char *at = strcasestr(text, name);
  if (!at) return NULL;
  at += strlen(name);
  at += strspn(at, " ");
  *length = strcspn(at, "\r\n");
  return at;
}

static void dial(struct conn *c) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)target)};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  attach(c, fd, EPOLLOUT);
  c->state = DIAL;
  dialling++;
  if (connect(fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS) drop(c);
}

static void request(struct conn *c) {
  char text[400];
  int n = sprintf(text,
                  "GET /ocpp/CS-%04d HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: %s\r\n\r\n",
                  c->number, target, KEY, VERSIONS[c->version]);
  c->state = SHAKE;
  watch(c, EPOLL_CTL_MOD, EPOLLIN);
  send_all(c, text, (size_t)n);
}

/* The answer to a station's handshake; what is no 101 is a refusal, and the station tries again. */
static bool welcomed(struct conn *c, const char *text) {
  size_t key, protocol = 0;
  if (strncmp(text, "HTTP/1.1 101", 12)) {
    drop(c);
    return false;
  }
  const char *accepted = header(text, "\nSec-WebSocket-Accept:", &key);
  const char *chosen = header(text, "\nSec-WebSocket-Protocol:", &protocol), *wanted = VERSIONS[c->version];
  if (!accepted || key != strlen(accept_key) || memcmp(accepted, accept_key, key)) die("Sec-WebSocket-Accept is wrong");
  if (!chosen || protocol != strlen(wanted) || memcmp(chosen, wanted, protocol)) die("another subprotocol than %s", wanted);
  c->state = OPEN;
  c->wait = BACK_OFF / 2;
  opened++;
  dialling--;
  return true;
}

static void welcome(struct conn *c, const char *text) {
  size_t key, offer;
  char answer[400], accepted[32];
  const char *asked = header(text, "\nSec-WebSocket-Key:", &key);
  const char *offered = header(text, "\nSec-WebSocket-Protocol:", &offer);
  if (strncmp(text, "GET ", 4) || !asked || !offered) die("the CSMS got no handshake: %.200s", text);
  for (c->version = 0; c->version < 2; c->version++)
    if (memmem(offered, offer, VERSIONS[c->version], strlen(VERSIONS[c->version]))) break;
  if (c->version == 2) die("the CSMS was offered %.*s", (int)offer, offered);
  c->controller = strncmp(text, "GET /ocpp/CS-", 13) != 0;
  served += !c->controller;
  accept_of(asked, key, accepted);
  int n = sprintf(answer,
                  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: %s\r\n\r\n",
                  accepted, VERSIONS[c->version]);
  c->state = OPEN;
  send_all(c, answer, (size_t)n);
}

/* As ``take_frame``, for the handshake. */
static ssize_t take_head(struct conn *c, char *data, size_t have) {
  char *end = memmem(data, have, "\r\n\r\n", 4);
  if (!end) {
    if (have > HEAD) die("a handshake of more than %d bytes", HEAD);
    return 0;
  }
  end[2] = 0;
  if (c->side == CSMS)
    welcome(c, data);
  else if (!welcomed(c, data))
    return -1;
  return end + 4 - data;
}

/* The loop. */

static void readable(struct conn *c) {
  size_t had = c->in_len;
  if (had > PIECE / 2) die("%zu bytes are no frame", had);
  if (had) memcpy(piece, c->in, had);
  ssize_t n = recv(c->fd, piece + had, PIECE - had, 0);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) {
    drop(c);
    return;
  }
  char *at = piece;
  size_t have = had + (size_t)n;
  while (have) {
    ssize_t took = c->state < OPEN ? take_head(c, at, have) : take_frame(c, at, have);
    if (took < 0) return;
    if (!took) break;
    at += took;
    have -= (size_t)took;
  }
  if (have) c->in = realloc(c->in, have), memcpy(c->in, at, have);
  c->in_len = have;
}

static void accept_all(void) {
  int fd;
  while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
    struct conn *c = calloc(1, sizeof *c);
    c->side = CSMS;
    c->state = SHAKE;
    attach(c, fd, EPOLLIN);
  }
}

static void serve(void) {
  int one = 1;
  struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  socklen_t length = sizeof own;
  own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listener, (struct sockaddr *)&own, sizeof own) || listen(listener, 4096) ||
      getsockname(listener, (struct sockaddr *)&own, &length))
    die("the CSMS cannot listen: %s", strerror(errno));
  port = ntohs(own.sin_port);
  struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
  epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
}

static double idle; /* seconds of looks at nothing */

/* Whether there is a line to do. */
static bool step(double until) {
  struct epoll_event events[EVENTS];
  bool line = false;
  double left = until - now();
  if (left < 0) left = 0;
  struct timespec timeout = {(time_t)left, (long)((left - (double)(time_t)left) * 1e9)};
  int n = epoll_pwait2(poller, events, EVENTS, &timeout, NULL);
  if (!n && !left) idle += now() - until;
  if (n < 0 && errno != EINTR) die("epoll_pwait2: %s", strerror(errno));
  for (int i = 0; i < n; i++) {
    int fd = events[i].data.fd;
    if (fd == STDIN_FILENO) {
      if (events[i].events & EPOLLHUP) exit(0);
      line = true;
    } else if (fd == listener) {
      accept_all();
    } else {
      struct conn *c = by_fd[fd];
      if (!c) continue;
      if (c->state == DIAL) {
        int fault = 0;
        socklen_t length = sizeof fault;
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &fault, &length);
        if (fault) drop(c); else request(c);
        continue;
      }
      if (events[i].events & EPOLLOUT) flush(c);
      if (events[i].events & ~(uint32_t)EPOLLOUT) readable(c);
    }
  }
  return line;
}

static void redial(int most) {
  double at = now();
  for (int i = 0; i < count && dialling < most; i++)
    if (stations[i].state == DOWN && stations[i].due <= at) dial(&stations[i]);
}

/* What is asked for. */

static bool all_closed(void) { return !opened && !dialling && !served; }
static bool all_open(void) { return opened == count && served == count; }
static bool all_answered(void) { return !outstanding; }

static bool within(double seconds, bool (*over)(void), int most) {
  double end = now() + seconds;
  while (!over() && now() < end) {
    redial(most);
    step(now() + 0.005);
  }
  return over();
}

static void begin(int stations_port, int stations_count, int message_size) {
  if (count) die("stations are open already");
  if (stations_count < 1 || stations_count > 9999) die("1 to 9999 stations");
  target = stations_port, count = stations_count, size = message_size;
  stations = calloc((size_t)count, sizeof *stations);
  for (int i = 0; i < count; i++)
    stations[i] = (struct conn){.side = STATION, .number = i + 1, .version = i % 2, .wait = BACK_OFF / 2};
  prepare();
  if (!within(SECONDS, all_open, DIALLING)) die("%d of %d stations are open, %d at the CSMS", opened, count, served);
  tell("open");
}

static void drain(void) {
  sending = false;
  if (!within(SECONDS, all_answered, 0)) die("%llu messages have no answer", (unsigned long long)outstanding);
}

/* Never asleep: on the loopback it is the sender who pays for waking up whom it sends to, and the slower a proxy is, the
 * more often. Over a network no proxy wakes up a station. */
static void spin(double seconds) {
  for (double end = now() + seconds, at; (at = now()) < end;) step(at);
}

static void rate(double warm, double seconds) {
  sent = answered = 0;
  sending = true;
  for (int i = 0; i < count; i++) ask(&stations[i]);
  spin(warm);
  tell("go");
  uint64_t before = answered;
  idle = 0;
  double from = now(), used = cpu();
  spin(seconds);
  tell("stop");
  double took = now() - from, busy = (cpu() - used - idle) / took;
  uint64_t counted = answered - before;
  drain();
  tell("rate %llu %llu %llu %.6f %.4f", (unsigned long long)sent, (unsigned long long)answered,
       (unsigned long long)counted, took, busy);
}

static int by_size(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

/* Ahead of whatever else runs on this core: how late this program is, is none of what it looks at. */
static void go_first(bool first) {
  struct sched_param how = {.sched_priority = first ? 1 : 0};
  sched_setscheduler(0, first ? SCHED_FIFO : SCHED_OTHER, &how);
}

static void round_trips(double seconds) {
  uint64_t total = (uint64_t)((seconds + 1) * count), n = 0;
  timed_most = total + 1;
  timed = calloc(timed_most + 1, sizeof *timed);
  sent = answered = 0;
  go_first(true);
  double from = now();
  for (uint64_t i = 0; i < total; i++) {
    double due = from + (double)i / count;
    do step(due);
    while (now() < due);
    ask(&stations[i % (uint64_t)count]);
  }
  drain();
  go_first(false);
  float *took = malloc(total * sizeof *took);
  for (uint64_t i = (uint64_t)count + 1; i <= total; i++) took[n++] = timed[i].took;
  qsort(took, n, sizeof *took, by_size);
  tell("timed %llu %llu %.1f %.1f %.1f %.1f", (unsigned long long)sent, (unsigned long long)answered, took[n / 2],
       took[n * 9 / 10], took[n * 99 / 100], took[n - 1]);
  free(took);
  free(timed);
  timed = NULL;
}

static void restart(double seconds) {
  dial_again = true;
  close(listener);
  listener = -1;
  for (int fd = 0; fd < FDS; fd++)
    if (by_fd[fd] && by_fd[fd]->side == CSMS) drop(by_fd[fd]);
  for (double end = now() + seconds; now() < end; step(now() + 0.005)) redial(count);
  serve();
  double from = now();
  if (!within(2 * SECONDS, all_open, count)) die("%d of %d stations are back, %d at the CSMS", opened, count, served);
  tell("back %.3f", now() - from);
  dial_again = false;
}

static void end(void) {
  static const char normally[] = {3, (char)232};
  for (int i = 0; i < count; i++) {
    if (stations[i].state != OPEN) continue;
    stations[i].state = CLOSING;
    send_frame(&stations[i], 8, normally, 2);
  }
  if (!within(SECONDS, all_closed, 0)) die("%d stations are open still, %d at the CSMS", opened, served);
  free(stations);
  stations = NULL;
  count = 0;
  tell("closed");
}

static void obey(const char *line) {
  int to, how_many, bytes;
  double warm, seconds;
  if (sscanf(line, "open %d %d %d", &to, &how_many, &bytes) == 3) begin(to, how_many, bytes);
  else if (sscanf(line, "rate %lf %lf", &warm, &seconds) == 2) rate(warm, seconds);
  else if (sscanf(line, "timed %lf", &seconds) == 1) round_trips(seconds);
  else if (sscanf(line, "restart %lf", &seconds) == 1) restart(seconds);
  else if (!strncmp(line, "close", 5)) end();
  else die("what is %s", line);
}

int main(void) {
  char line[100];
  struct rlimit files;
  struct epoll_event event = {.events = EPOLLIN, .data.fd = STDIN_FILENO};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  signal(SIGPIPE, SIG_IGN);
  setvbuf(stdin, NULL, _IONBF, 0);
  accept_of(KEY, sizeof KEY - 1, accept_key);
  if (strcmp(accept_key, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")) die("%s is not the answer of RFC 6455 1.3", accept_key);
  poller = epoll_create1(EPOLL_CLOEXEC);
  epoll_ctl(poller, EPOLL_CTL_ADD, STDIN_FILENO, &event);
  serve();
  tell("listening %d", port);
  for (;;) {
    if (!step(now() + SECONDS)) continue;
    if (!fgets(line, sizeof line, stdin)) return 0;
    obey(line);
  }
}
