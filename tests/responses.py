"""Bodies that the server answers with, for scripted transports."""

ROW = '{"time":"2026-01-01T00:00:00Z","org_id":"o","agent_id":"a","memory_type":"episodic","event_type":"general","content":"c"}'
MEMORIES = f'{{"memories":[{ROW}],"count":1,"has_more":false}}'
AGENT = '{"id":"agent_1","org_id":"o","name":"x","created_at":"2026-01-01T00:00:00Z"}'
STATS = (
    '{"agent_id":"a","memory_count":1,"memories_24h":1,"errors_24h":0,"session_count":0,"active_sessions":0,'
    '"memory_types":{"episodic":1}}'
)
SESSION = (
    '{"id":"s","org_id":"o","agent_id":"a","status":"active","created_at":"2026-01-01T00:00:00Z",'
    '"updated_at":"2026-01-01T00:00:00Z"}'
)
