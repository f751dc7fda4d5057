#!/usr/bin/env bash
# An own collection and somebody else's run, to a table in a paper: own_collection.md tells it step by step.
source "$(dirname "$0")/counted.sh"

python "$here/make_collection.py" mine

recross retrieve collection=files collection.folder=mine retriever=bm25 depth=100 run_file=bm25.trec
recross rerank collection=files collection.folder=mine reranker=embedded_reranker candidates=mine/theirs.trec depth=10
recross evaluate TF-IDF=mine/theirs.trec BM25=outputs/bm25.trec "TF-IDF, re-ranked"=outputs/reranked.trec --collection files folder=mine --measures MRR@10 nDCG@10 --output paper --label tab:library

# what was wanted: a float for the paper, with our row in bold and a dagger for the test
cat paper/table.tex
grep -qF '\label{tab:library}' paper/table.tex
grep -q '^TF-IDF, re-ranked & .*\\textbf{.*dagger' paper/table.tex
test -s paper/table.html
finish "own_collection: the table is in paper/table.tex"
