from pinecone import Pinecone, ServerlessSpec

pc = Pinecone(api_key="any", host="http://localhost:5080")
pc.create_index("first-python", dimension=3, metric="cosine",
                spec=ServerlessSpec(cloud="aws", region="us-east-1"))
index = pc.Index("first-python")
index.upsert(vectors=[("a", [0.1, 0.2, 0.3]), ("b", [0.3, 0.2, 0.1])])
print(index.query(vector=[0.1, 0.2, 0.25], top_k=1).matches)
backup = pc.create_backup(index_name="first-python", backup_name="before")
index.delete(ids=["a"])
pc.create_index_from_backup(backup_id=backup.backup_id, name="restored-python")
print(pc.Index("restored-python").describe_index_stats().total_vector_count)
