call() { curl -sS -H 'Api-Key: any' -H 'Content-Type: application/json' "$@"; echo; }
call http://localhost:5080/indexes -d '{"name": "first-curl", "dimension": 3,
  "metric": "cosine", "spec": {"serverless": {"cloud": "aws", "region": "us-east-1"}}}'
HOST=$(call http://localhost:5080/indexes/first-curl | grep -o 'http://[^"]*')
call $HOST/vectors/upsert -d '{"vectors": [{"id": "a", "values": [0.1, 0.2, 0.3]}]}'
call $HOST/query -d '{"vector": [0.1, 0.2, 0.25], "topK": 1}'
BACKUP=$(call http://localhost:5080/indexes/first-curl/backups -d '{"name": "before"}' |
  grep -o '"backup_id": *"[^"]*"' | cut -d '"' -f 4)
call http://localhost:5080/backups/$BACKUP/create-index -d '{"name": "restored-curl"}'
