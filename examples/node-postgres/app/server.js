'use strict';
// A list of tasks: GET /tasks, POST /tasks {"title": "…"}, PATCH /tasks/ID {"done": true}, DELETE /tasks/ID.

const fs = require('fs');
const http = require('http');
const os = require('os');
const { Pool } = require('pg');

const BODY_LIMIT = 64 * 1024;

// The host, the database and the user come from PGHOST, PGDATABASE and PGUSER.
const pool = new Pool({
    password: fs.readFileSync(process.env.PGPASSWORD_FILE, 'utf8').trimEnd(),
    max: 10,
    connectionTimeoutMillis: 3000,
});
// A connection that breaks while nobody uses it is not the end of the process; the pool makes a new one.
pool.on('error', (error) => console.error('database:', error.message));

class HTTPError extends Error {
    constructor(status, message) {
        super(message);
        this.status = status;
    }
}

async function bodyOf(request) {
    let text = '';
    for await (const chunk of request) {
        text += chunk;
        if (text.length > BODY_LIMIT) throw new HTTPError(413, 'the body is too large');
    }
    try {
        return JSON.parse(text) ?? {};
    } catch {
        throw new HTTPError(400, 'the body is not JSON');
    }
}

async function oneRow(query, values) {
    const { rows } = await pool.query(query, values);
    if (rows.length === 0) throw new HTTPError(404, 'there is no such task');
    return rows[0];
}

async function answer(request) {
    const [, collection, id] = request.url.split('?')[0].split('/');
    if (collection === 'healthz') {
        await pool.query('SELECT 1');
        return [200, { status: 'well' }];
    }
    if (collection !== 'tasks' || (id && !/^\d{1,18}$/.test(id))) throw new HTTPError(404, 'not found');
    switch (`${request.method} ${id ? 'task' : 'tasks'}`) {
    case 'GET tasks':
        return [200, (await pool.query('SELECT * FROM task ORDER BY id')).rows];
    case 'POST tasks': {
        const { title } = await bodyOf(request);
        if (typeof title !== 'string' || title === '') throw new HTTPError(400, 'a task needs a title');
        return [201, await oneRow('INSERT INTO task (title) VALUES ($1) RETURNING *', [title])];
    }
    case 'GET task':
        return [200, await oneRow('SELECT * FROM task WHERE id = $1', [id])];
    case 'PATCH task': {
        const { done } = await bodyOf(request);
        if (typeof done !== 'boolean') throw new HTTPError(400, 'done is true or false');
        return [200, await oneRow('UPDATE task SET done = $2 WHERE id = $1 RETURNING *', [id, done])];
    }
    case 'DELETE task':
        return [200, await oneRow('DELETE FROM task WHERE id = $1 RETURNING *', [id])];
    default:
        throw new HTTPError(405, 'not that way');
    }
}

const server = http.createServer(async (request, response) => {
    let status, value;
    try {
        [status, value] = await answer(request);
    } catch (error) {
        status = error.status ?? 503;
        value = { error: error.message };
        if (status === 503) console.error(`${request.method} ${request.url}:`, error.message);
    }
    response.writeHead(status, { 'Content-Type': 'application/json', 'X-Served-By': os.hostname() });
    response.end(JSON.stringify(value) + '\n');
});

// As the first process of its container it is asked to stop by SIGTERM, and has no default for that.
process.on('SIGTERM', () => {
    server.close(() => pool.end().then(() => process.exit(0)));
    server.closeIdleConnections();
});
server.listen(3000, () => console.log('listening on port 3000'));
