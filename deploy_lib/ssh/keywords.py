"""Which keywords of ssh_config count here, as `ssh -G` prints them, in lower case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

VERSION = (10, 2)
"""The newest OpenSSH whose keywords are all here; a newer one may have more."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


DONE = _words("""
    addressfamily batchmode bindaddress bindinterface casignaturealgorithms certificatefile ciphers connectionattempts
    connecttimeout controlmaster controlpath globalknownhostsfile hashknownhosts host hostkeyalgorithms hostkeyalias hostname
    identitiesonly identityagent identityfile kbdinteractiveauthentication kexalgorithms knownhostscommand macs
    numberofpasswordprompts passwordauthentication port preferredauthentications proxycommand proxyjump proxyusefdpass
    pubkeyacceptedalgorithms pubkeyacceptedkeytypes pubkeyauthentication requiredrsasize revokedhostkeys stricthostkeychecking
    user userknownhostsfile

    canonicaldomains canonicalizefallbacklocal canonicalizehostname canonicalizemaxdots canonicalizepermittedcnames ignoreunknown
    tag
""")
"""What is done as `ssh` does it. The last ones are done by `ssh -G` itself."""

NOTHING_LOST = _words("""
    clearallforwardings controlpersist dynamicforward enableescapecommandline escapechar exitonforwardfailure
    forkafterauthentication forwardagent forwardx11 forwardx11timeout forwardx11trusted gatewayports localforward
    obscurekeystroketiming permitremoteopen remotecommand remoteforward requesttty sendenv sessiontype setenv
    stdinnull streamlocalbindmask streamlocalbindunlink tunnel tunneldevice visualhostkey xauthlocation

    channeltimeout compression fingerprinthash ipqos localcommand loglevel logverbose rekeylimit serveralivecountmax
    serveraliveinterval syslogfacility tcpkeepalive versionaddendum warnweakcrypto

    addkeystoagent updatehostkeys usekeychain

    nohostauthenticationforlocalhost verifyhostkeydns

    challengeresponseauthentication enablesshkeysign gssapiauthentication gssapiclientidentity gssapidelegatecredentials
    gssapikexalgorithms gssapikeyexchange gssapirenewalforcesrekey gssapiserveridentity gssapitrustdns
    hostbasedacceptedalgorithms hostbasedauthentication hostbasedkeytypes kbdinteractivedevices pkcs11provider
    securitykeyprovider smartcarddevice
""")
"""What may be passed over. In this order: what is for people's sessions; how a session is kept and logged; what `ssh` writes down
for later; what would accept a host key that is not known; ways to log in that a refused login names."""

NOT_DONE: Mapping[str, str] = {
    "checkhostip": "CheckHostIP",
    "permitlocalcommand": "LocalCommand",
    "refuseconnection": "RefuseConnection",
}
"""What makes a difference with `ssh`, and none here, as ssh_config writes it."""


def not_done(found: Mapping[str, Sequence[str]], own: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """What ssh_config sets and is not done here; a keyword that nobody knows here is among it.

    Args:
        found: the values by keyword.
        own: those that `ssh` has without any ssh_config.
    """
    changed = (keyword for keyword, values in found.items() if list(values) != list(own.get(keyword, ())))
    return tuple(NOT_DONE.get(keyword, keyword) for keyword in changed if keyword not in DONE | NOTHING_LOST)
