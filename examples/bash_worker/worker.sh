#!/usr/bin/env bash
# worker.sh PORT NAME: a randstream worker. Appends numbers to NAME.numbers, whose count of lines is the offset.
port=${1:?give PORT NAME} name=${2:?give PORT NAME} file=$2.numbers
touch "$file" || exit
say() { echo "$*"; } 2>/dev/null # read reports that the producer has gone
trap : PIPE
trap 'kill "$netcat" 2>/dev/null; wait "$netcat"; exit 0' INT TERM
while :; do
  coproc NC { exec nc.openbsd -l 127.0.0.1 "$port"; }
  netcat=$NC_PID offset=$(wc -l <"$file")
  {
    say "#hello randstream/1 worker=$name"
    while read -r verb rest; do
      case $verb in
        '#open') say "#resume offset=$offset" ;;
        '#beat')
          [[ $rest =~ offset=$offset\ .*t=([0-9]+) ]] || break # a gap: close, and resume at the file's offset
          say "#ack offset=$offset t=${BASH_REMATCH[1]}" ;;
        '#close') break ;;
        *) echo "$verb" >>"$file" && offset=$((offset + 1)) ;;
      esac
    done
  } <&"${NC[0]}" >&"${NC[1]}"
  kill "$netcat" 2>/dev/null
  wait "$netcat"
  sleep 0.1 # for example while another program has the port
done
