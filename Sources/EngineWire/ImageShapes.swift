// Bodies of the image and disk usage endpoints, in the shapes of the Docker Engine API.

/// One image in `GET /images/json`.
public struct ImageSummary: Codable, Equatable, Sendable {
    /// `sha256:…` of the image's config.
    public var Id: String
    public var RepoTags: [String]
    /// `NAME@sha256:…`.
    public var RepoDigests: [String]?
    /// Always empty: images have no parents here.
    public var ParentId: String?
    /// Seconds since 1970.
    public var Created: Int64
    /// Bytes of file content in all layers; in `GET /system/df` those on disk, with the layers as they came.
    public var Size: Int64
    /// The same as `Size`, for old clients.
    public var VirtualSize: Int64?
    /// Bytes on disk that other images have, too; -1 when it was not asked for.
    public var SharedSize: Int64?
    /// How many containers are made from it; -1 when it was not asked for.
    public var Containers: Int64?
    public var Labels: [String: String]?

    public init(Id: String, RepoTags: [String], Created: Int64, Size: Int64) {
        self.Id = Id
        self.RepoTags = RepoTags
        self.Created = Created
        self.Size = Size
    }
}

/// The part of `GET /images/{name}/json` that clients need.
public struct ImageInspect: Codable, Equatable, Sendable {
    /// `sha256:…` of the image's config.
    public var Id: String
    public var RepoTags: [String]
    /// `NAME@sha256:…` with the digest of the manifest, once for each name without its tag.
    public var RepoDigests: [String]
    /// Bytes of file content in all layers.
    public var Size: Int64

    public init(Id: String, RepoTags: [String], RepoDigests: [String], Size: Int64) {
        self.Id = Id
        self.RepoTags = RepoTags
        self.RepoDigests = RepoDigests
        self.Size = Size
    }
}

/// One step in `GET /images/{name}/history`, newest first.
public struct ImageHistoryItem: Codable, Equatable, Sendable {
    /// The image's id for the newest step, `<missing>` for the others.
    public var Id: String
    /// Seconds since 1970; 0 when the image does not say.
    public var Created: Int64
    public var CreatedBy: String
    public var Tags: [String]?
    /// Bytes of file content in the step's layer.
    public var Size: Int64
    public var Comment: String

    public init(Id: String, Created: Int64, CreatedBy: String, Tags: [String]?, Size: Int64, Comment: String) {
        self.Id = Id
        self.Created = Created
        self.CreatedBy = CreatedBy
        self.Tags = Tags
        self.Size = Size
        self.Comment = Comment
    }
}

/// One line of what a removal did: a name, or an image or layer.
public struct ImageDeletion: Codable, Equatable, Sendable {
    public var Untagged: String?
    public var Deleted: String?

    public init(Untagged: String? = nil, Deleted: String? = nil) {
        self.Untagged = Untagged
        self.Deleted = Deleted
    }
}

/// Answer of `POST /images/prune`.
public struct ImagePruneReply: Codable, Equatable, Sendable {
    public var ImagesDeleted: [ImageDeletion]?
    /// Bytes.
    public var SpaceReclaimed: Int64

    public init(ImagesDeleted: [ImageDeletion]?, SpaceReclaimed: Int64) {
        self.ImagesDeleted = ImagesDeleted
        self.SpaceReclaimed = SpaceReclaimed
    }
}

/// Answer of `POST /containers/prune`.
public struct ContainerPruneReply: Codable, Equatable, Sendable {
    public var ContainersDeleted: [String]?
    /// Bytes.
    public var SpaceReclaimed: Int64

    public init(ContainersDeleted: [String]?, SpaceReclaimed: Int64) {
        self.ContainersDeleted = ContainersDeleted
        self.SpaceReclaimed = SpaceReclaimed
    }
}

/// Answer of `POST /volumes/prune`.
public struct VolumePruneReply: Codable, Equatable, Sendable {
    public var VolumesDeleted: [String]?
    /// Bytes.
    public var SpaceReclaimed: Int64

    public init(VolumesDeleted: [String]?, SpaceReclaimed: Int64) {
        self.VolumesDeleted = VolumesDeleted
        self.SpaceReclaimed = SpaceReclaimed
    }
}

/// Answer of `GET /images/{name}/verify`.
public struct ImageVerifyReply: Codable, Equatable, Sendable {
    public var Id: String
    /// What is wrong, one sentence each; empty when everything is as it came.
    public var Problems: [String]

    public init(Id: String, Problems: [String]) {
        self.Id = Id
        self.Problems = Problems
    }
}

/// Answer of `GET /system/df`.
public struct DiskUsageReply: Codable, Equatable, Sendable {
    public struct Container: Codable, Equatable, Sendable {
        public var Id: String
        /// With a leading slash, as Docker's.
        public var Names: [String]
        public var Image: String
        public var ImageID: String
        public var Command: String
        /// Seconds since 1970.
        public var Created: Int64
        public var State: String
        public var Status: String
        /// Bytes in the writable layer.
        public var SizeRw: Int64
        public var Labels: [String: String]
        /// Names of its volumes.
        public var Mounts: [Mount]

        public init(
            Id: String, Names: [String], Image: String, ImageID: String, Command: String, Created: Int64,
            State: String, Status: String, SizeRw: Int64, Labels: [String: String], Mounts: [Mount]
        ) {
            self.Id = Id
            self.Names = Names
            self.Image = Image
            self.ImageID = ImageID
            self.Command = Command
            self.Created = Created
            self.State = State
            self.Status = Status
            self.SizeRw = SizeRw
            self.Labels = Labels
            self.Mounts = Mounts
        }
    }
    public struct Mount: Codable, Equatable, Sendable {
        public var `Type`: String
        public var Name: String

        public init(Type: String, Name: String) {
            self.Type = Type
            self.Name = Name
        }
    }
    public struct Volume: Codable, Equatable, Sendable {
        public struct Usage: Codable, Equatable, Sendable {
            /// Bytes.
            public var Size: Int64
            /// Containers that have it.
            public var RefCount: Int64

            public init(Size: Int64, RefCount: Int64) {
                self.Size = Size
                self.RefCount = RefCount
            }
        }
        public var Name: String
        public var Driver: String
        /// RFC 3339.
        public var CreatedAt: String?
        public var Mountpoint: String
        public var Labels: [String: String]
        public var Options: [String: String]?
        public var Scope: String
        public var UsageData: Usage

        public init(
            Name: String, CreatedAt: String? = nil, Mountpoint: String, Labels: [String: String],
            Options: [String: String]? = nil, UsageData: Usage
        ) {
            self.Name = Name
            Driver = "local"
            self.CreatedAt = CreatedAt
            self.Mountpoint = Mountpoint
            self.Labels = Labels
            self.Options = Options
            Scope = "local"
            self.UsageData = UsageData
        }
    }

    /// Bytes of all images, what they share counted once.
    public var LayersSize: Int64
    /// Gantry's own: bytes that would be free without the images that no container is made from.
    public var ImagesReclaimable: Int64?
    public var Images: [ImageSummary]?
    public var Containers: [Container]?
    public var Volumes: [Volume]?
    public var BuildCache: [BuildCacheItem]?

    public init(
        LayersSize: Int64, ImagesReclaimable: Int64?, Images: [ImageSummary], Containers: [Container],
        Volumes: [Volume], BuildCache: [BuildCacheItem]
    ) {
        self.LayersSize = LayersSize
        self.ImagesReclaimable = ImagesReclaimable
        self.Images = Images
        self.Containers = Containers
        self.Volumes = Volumes
        self.BuildCache = BuildCache
    }
}
