-- Events cost 1.5 us to publish even when nobody listens, so a marker that listeners keep alive is looked up once a script.
local listened = redis.call('EXISTS', prefix .. 'listeners') == 1

-- Tells those who wait for this execution that its record has changed; they read the record themselves. Publishing may be
-- forbidden to this user (channel permissions); that must not undo half a script, and waiters look by themselves too.
local function changed(key, generation, state)
  if listened then
    redis.pcall('PUBLISH', prefix .. 'events:' .. key, digits(generation) .. ' ' .. state)
  end
end
