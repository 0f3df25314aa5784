// Standard input and output as scripts leave them: closed, full, or with a reader that went away.
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cstdio>

#include "sdk/cli/commands.hpp"

namespace leat::cli {

// A descriptor that is closed would be given to the next socket, which then is read as lines, or
// gets records printed into it. The wrong direction keeps it what it was: an error when used.
void occupy_standard_streams() {
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        if (::fcntl(fd, F_GETFD) >= 0) continue;
        const int got = ::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
        if (got >= 0 && got != fd) ::close(got);
    }
}

bool reader_is_gone() {
    pollfd output{.fd = STDOUT_FILENO, .events = 0, .revents = 0};
    return ::poll(&output, 1, 0) > 0 && (output.revents & (POLLERR | POLLNVAL)) != 0;
}

Exit end_output(Exit exit) {
    const bool is_written = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
    if (is_written || reader_is_gone()) return exit;  // `| head` has what it wants
    complain("standard output cannot be written: not all of it is there");
    return exit == Exit::ok ? Exit::failed : exit;
}

}  // namespace leat::cli
