"""Our own client's groups and administration against leatd. Producing and reading are the other lanes' matter."""
import leat_groups


def run(lane, options):
    leat_groups.run(lane, options, "leat-on-leatd")
    leat_groups.run_848(lane, options, "leat-on-leatd-848")
