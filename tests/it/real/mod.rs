//! Beside servers that others wrote. `tests/run` installs them; without them these tests fail and say so.

mod jwt_peers;
