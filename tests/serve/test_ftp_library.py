import subprocess
import sys

LOADED = "import sys; import localctl.serve.{}; print('OpenSSL' in sys.modules)"


def loaded(module: str) -> str:
    """Whether a fresh interpreter that imports ``module`` has loaded pyOpenSSL."""
    command = [sys.executable, "-W", "error", "-c", LOADED.format(module)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_tls_is_loaded_where_it_is_used() -> None:
    """FTP alone does not cost what FTPS does; neither warns."""
    assert loaded("ftp") == "False"
    assert loaded("ftps") == "True"
