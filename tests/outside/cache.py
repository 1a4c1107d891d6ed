"""A cache that keeps its password in a file of its data, and greets whoever has it."""

from deploy_lib.config.fields import EnvName
from deploy_lib.host.programs import REFUSED, Program
from deploy_lib.secrets.value import Secret


class Cache(Program):
    database: int
    owner: EnvName

    def uses(self) -> tuple[str, ...]:
        return (self.owner,)

    def keeps(self) -> str:
        return self.inside('cat "$FAKE/kept"')

    def change(self) -> str:
        return self.inside(
            'get; printf %s "$v" > "$FAKE/kept"; echo "$1" > "$FAKE/database"',
            '"$1"',
            arguments=(str(self.database),),
        )

    def takes(self) -> str:
        script = f"""get; [ "$v" = owner ] || exit 2
get; k=$(cat "$FAKE/kept"); [ "<$v>" = "$k" ] || exit {REFUSED}"""
        return self.inside(script, f'"${self.owner}"', '"$1"')

    def unfit(self, value: Secret) -> str:
        return f"{self.secret} is shouted" if value.reveal().isupper() else ""

    def hand(self, value: Secret) -> Secret:
        return Secret(f"<{value.reveal()}>")
