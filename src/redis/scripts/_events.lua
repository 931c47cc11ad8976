-- Events cost 1.5 us to publish even when nobody listens, so a marker that listeners keep alive is looked up once a script.
local listened = redis.call('EXISTS', prefix .. 'listeners') == 1

-- Tells those who wait for this execution that its record has changed; they read the record themselves.
local function changed(key, generation, state)
  if listened then
    redis.call('PUBLISH', prefix .. 'events:' .. key, digits(generation) .. ' ' .. state)
  end
end
