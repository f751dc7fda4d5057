#!/usr/bin/env bash
# Which re-ranker, on which hardware, how deep, within the time that a query may take: choosing.md tells it step by step.
source "$(dirname "$0")/counted.sh"

python "$here/make_collection.py" mine 60

recross choose collection=files collection.folder=mine candidates=mine/theirs.trec reranker=embedded_reranker hardware=cpu,cpu_int8 depths=[5,10] within_ms=${WITHIN_MS:-300} timed_queries=10

# the command that the advice ends with; nothing where the machine is too slow for any re-ranking
advised=$(sed -n 's/^ *\(recross rerank .*\)/\1/p' outputs/choose/choices.md)
test -n "$advised"
eval "$advised run_file=chosen.trec"
recross evaluate "as it was"=mine/theirs.trec chosen=outputs/chosen.trec --qrels mine/qrels/test.tsv --measures MRR@10 | tee chosen.txt

# what was wanted: two forms measured at two depths, one advised, and its ranking better than the one it began with
test "$(grep -c '^embedded_reranker' outputs/choose/choices.csv)" -ge 4
test -s outputs/choose/choices.html
grep -q '^| MRR@10  *| chosen  *| as it was  *| *+' chosen.txt
finish "choosing: $advised"
