"""The protocols that the harness drives: each a class with the things below, and one line here.

A carrier has
- `name`;
- `set_up(gateway, server_port, server)`: by commands, a partner `alpha` whose files go to the partner `bravo` at that
  port, and a partner `keeper` whose files stay; returns nothing;
- `server(folder, gateway)`: the real server of partner `bravo`, with `files` (the folder where files arrive), `stop()`;
- `inward(gateway)`: the port that clients call;
- `upload(folder, port, login, name, path, again)`: starts a real client that sends `path` as `name`; `again` after a try
  that was not acknowledged; gives a process whose exit code 0 is the acknowledgement;
- `listed(folder, port, login)`: what the client sees in the partner's folder, as {name: octets};
- `fetch(folder, port, login, name, path)`: reads a file back;
- `doors`: the ports that the gateway tells its callers for further connections (`line.Doors`), which then go through the line
  too; None: it has one connection. The partner's server may have the same;
- `by_doors`, `trusting`: the sides ("in", "out") that have such doors; that cannot see a flipped bit, and so are spared it;
- `shuffle(seed)`: has the partner's server answer requests in another order, as far as the protocol allows it; None: no more;
- `is_temporary(name)` and `ident(name)`: whether a name at `bravo` is one on its way, and of which transfer.
"""

from carriers.folders import Folders
from carriers.ftp import Ftp, Ftps, SftpFtps
from carriers.sftp import Sftp

CARRIERS = {carrier.name: carrier for carrier in (Sftp, Ftp, Ftps, SftpFtps, Folders)}
# What is played where nobody asks for one: each round of all troubles has the next of these.
BY_TURNS = ("sftp", "ftps", "sftp", "sftp-ftps")
