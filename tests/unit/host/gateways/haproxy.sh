# HAProxy's runtime socket as far as a gateway's functions speak to it, with its state in $FAKE: `slots` has the servers of the
# backend "rolling", one a line; those of "found" are the running containers of "web". $FAKE/busy/ADDRESS: how often it is still busy.
backends() { cat "$FAKE/backends" 2>/dev/null || printf 'rolling\nfound\n'; }
found() {
  n=0
  for c in "$FAKE"/c/*; do
    [ -e "$c" ] || continue
    read -r service state hash ip health needs < "$c"
    case "$service $state" in 'web running') n=$((n + 1)); echo "found f$n $ip 2 0";; esac
  done
}
servers() {
  echo 1
  echo '# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state'
  { cat "$FAKE/slots"; found; echo 'found f99 - 0 32'; } | while read -r b name addr op admin; do
    case $1 in ''|"$b") echo "3 $b 1 $name $addr $op $admin 1 1";; esac
  done
}
change() {
  while read -r b name addr op admin; do
    if [ "$b/$name" = "$1" ]; then
      case "$2 $3" in
        addr*) addr=$3;;
        # 4 stays: it was in maintenance at the start.
        'state ready') op=2 admin=4; [ ! -e "$FAKE/refuses/$addr" ] || op=0;;
        'state drain') admin=12;;
        'state maint') op=0 admin=5;;
      esac
    fi
    echo "$b $name $addr $op $admin"
  done < "$FAKE/slots" > "$FAKE/slots.new"
  grep -q " $1 \| ${1#*/} " "$FAKE/slots" || echo 'No such server.'
  mv "$FAKE/slots.new" "$FAKE/slots"
}
read -r line
while [ -n "$line" ]; do
  one=${line%%;*}
  case $line in *';'*) line=${line#*;};; *) line=;; esac
  set -- $one
  case $one in
    'show backend') echo '# name'; backends;;
    'show servers state'*) servers "$4";;
    'show stat')
      { cat "$FAKE/slots"; found; } | while read -r b name addr rest; do
        busy=0
        if [ -e "$FAKE/busy/$addr" ]; then
          busy=$(cat "$FAKE/busy/$addr")
          [ "$busy" = 0 ] || echo $((busy - 1)) > "$FAKE/busy/$addr"
        fi
        echo "$b,$name,0,0,$busy,9"
      done;;
    'show cli level') echo admin;;
    'set server'*) change "$3" "$4" "$5";;
    *) echo "Unknown command: '$one'";;
  esac
  echo
done
