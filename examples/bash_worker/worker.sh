#!/usr/bin/env bash
# worker.sh PORT NAME: a randstream worker. Appends numbers to NAME.numbers, whose count of lines is the offset.
set -u
port=$1 name=$2 file=$2.numbers
touch "$file"
trap 'kill "${NC_PID:-}" 2>/dev/null; exit 0' INT TERM
while :; do
  coproc NC { exec nc.openbsd -l 127.0.0.1 "$port"; }
  offset=$(wc -l <"$file")
  { echo "#hello randstream/1 worker=$name" >&"${NC[1]}"; } 2>/dev/null
  while read -r verb rest; do
    case $verb in
      '#open') echo "#resume offset=$offset" >&"${NC[1]}" ;;
      '#beat')
        [[ $rest =~ offset=$offset\ .*t=([0-9]+)$ ]] || break # a gap: close, and let the file say where we stand
        echo "#ack offset=$offset t=${BASH_REMATCH[1]}" >&"${NC[1]}" ;;
      '#close') break ;;
      *) echo "$verb" >>"$file" && offset=$((offset + 1)) ;;
    esac
  done <&"${NC[0]}"
  kill "$NC_PID" 2>/dev/null
  wait "$NC_PID" 2>/dev/null
done
