-- A drawing as a part of the page: as text it takes a fifth less than in base64.
local function read(path)
  local file = io.open(path, "r")
  local text = file and file:read("a")
  if file then file:close() end
  return text
end

return function(src)
  local svg = read(src)
  if not svg then return src end
  svg = svg:gsub("xlink:href=", "href="):gsub('style="[^"]*"', function(style) return style:gsub("([:;]) ", "%1") end)
  return "data:image/svg+xml," .. svg:gsub('[%c%%#<>&"\']', function(c) return ("%%%02X"):format(c:byte()) end)
end
