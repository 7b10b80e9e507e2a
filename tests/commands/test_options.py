"""Options that several commands have."""

import click

from localctl.commands.options import CONFIG
from localctl.config import DEFAULT_PATH


def test_the_configuration_is_where_the_package_puts_it() -> None:
    """--config, else $LOCALCTL_CONFIG, else the default of every document."""

    @CONFIG
    def command() -> None:
        """Nothing."""

    [option] = click.command()(command).params
    assert isinstance(option, click.Option)
    assert (option.opts, option.envvar, option.default) == (["--config"], "LOCALCTL_CONFIG", DEFAULT_PATH)
