from deploy_lib.cli.history import for_document
from deploy_lib.host.change.history import event
from deploy_lib.release.release import Release
from deploy_lib.secrets.places import Place


def test_the_document_has_no_text_that_stands_beside_a_secret() -> None:
    beside = Place("web", "environment", "URL", ("db://me:undeclared@db/", "NAME", ""))
    release = Release("r1", "1.0", None, {}, {}, places=(beside,))
    found = event("proven", release)
    assert "undeclared" in found.line()
    assert "undeclared" not in str(for_document(found))
    assert for_document(found)["release"]["tag"] == "1.0"
