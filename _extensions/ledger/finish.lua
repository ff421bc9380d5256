-- Once Quarto's own passes are over: what was set aside is back in its place, and what is read as one
-- is bound. (Quarto gives each script globals of its own; what `dofile` loads is one for all.)

local core = dofile(quarto.utils.resolve_path("core.lua"))
local bind = core.own and { Pandoc = core.load("bind").document } or {}

return { core.load("aside").back, bind, { Pandoc = core.load("page").behind } }
